import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { ConfigError } from '../config.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'
import { makeTemporaryFolder, type TemporaryFolder } from '../testing/services/temporary-folder.ts'

const LOGO = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 1"><script>alert(1)</script></svg>'
const STYLE = '@import "https://elsewhere.example/x.css";\nbody { letter-spacing: 0.01em }\n'
const VIEWS = {
  'sessions/new.ejs': `<h1>Come in to <%= brand.name %></h1>
<form method="post" action="/login"><%- include('../partials/form-id') %><%- include('own/banner') %></form>`,
  'sessions/own/banner.ejs': '<p>Maintenance on Sunday.</p>',
  'partials/footer.ejs': '<footer>Example Ltd, 1 Example Street</footer>',
}

let folder: TemporaryFolder
let server: TestServer
before(async () => {
  folder = await makeTemporaryFolder('brand')
  const path = (name: string) => join(folder.path, name)
  await writeFile(path('logo'), LOGO)
  await writeFile(path('style.css'), STYLE)
  for (const [name, view] of Object.entries(VIEWS)) {
    await mkdir(join(folder.path, 'views', name, '..'), { recursive: true })
    await writeFile(path(`views/${name}`), view)
  }
  server = await startTestServer({
    env: {
      ORGANISATION_NAME: 'Ex & <Co>',
      LOGO_FILE: path('logo'),
      ACCENT_COLOR: '#1d4ed8',
      STYLE_FILE: path('style.css'),
      VIEWS_DIR: path('views'),
      SUPPORT_URL: 'mailto:help@example.test',
      PRIVACY_URL: 'https://example.test/privacy',
    },
  })
})
after(async () => {
  await server.close()
  await folder.remove()
})

const read = async (path: string) => (await fetch(server.url + path)).text()

test('pages are called as the organisation is, with its logo and its styles after ours', async () => {
  const html = await read('/register')
  assert.match(html, /<title>[^<]+ · Ex &amp; &lt;Co&gt;<\/title>/)
  assert.match(html, /<img class="logo" src="\/public\/logo\.svg\?v=[\w-]{12}" alt="">\s*<span>Ex &amp; &lt;Co&gt;</)
  assert.match(html, /<link rel="icon" type="image\/svg\+xml" href="\/public\/logo\.svg\?v=/)
  const styles = Array.from(html.matchAll(/<link rel="stylesheet" href="\/public\/([\w.]+)\?v=/g), ([, name]) => name)
  assert.deepEqual(styles, ['style.css', 'brand.css', 'organisation.css'])
  assert.doesNotMatch(html, /Gatehouse/)
})

test('a style sheet of the organisation loads nothing from elsewhere', async () => {
  const { headers } = await fetch(`${server.url}/login`)
  const policy = (headers.get('content-security-policy') ?? '').split(';')
  for (const directive of ["default-src 'none'", "style-src 'self'", "img-src 'self' data:"])
    assert.ok(policy.includes(directive), directive)
})

test('the logo is kept for a year, and as a document it runs nothing', async () => {
  const [, url = ''] = /<img class="logo" src="([^"]+)"/.exec(await read('/register')) ?? []
  const answer = await fetch(server.url + url)
  assert.equal(await answer.text(), LOGO)
  assert.match(answer.headers.get('content-type') ?? '', /^image\/svg\+xml/)
  assert.equal(answer.headers.get('cache-control'), 'public, max-age=31536000, immutable')
  assert.equal(answer.headers.get('x-content-type-options'), 'nosniff')
  assert.equal(
    answer.headers.get('content-security-policy'),
    "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'",
  )
})

test('the shades of the accent colour are a static file, and so is the default icon in them', async () => {
  const css = await read('/public/brand.css')
  assert.match(css, /^:root \{--accent:#1d4ed8;--accent-deep:#[\da-f]{6};--on-accent:#ffffff;/)
  assert.match(css, /@media screen and \(prefers-color-scheme: dark\) \{:root \{--accent:#80a9ff;/)
  assert.match(await read('/public/favicon.svg'), /fill="#1d4ed8"/)
  assert.equal(await read('/public/organisation.css'), STYLE)
})

test('a view of the organisation replaces ours, includes ours, and is included by ours', async () => {
  const html = await read('/login')
  assert.match(html, /<h1>Come in to Ex &amp; &lt;Co&gt;<\/h1>/)
  assert.match(html, /<input type="hidden" name="form_id" value="[\w-]{36}">/)
  assert.match(html, /<p>Maintenance on Sunday\.<\/p>/)
  assert.match(html, /<footer>Example Ltd, 1 Example Street<\/footer>/)
  assert.match(await read('/register'), /<footer>Example Ltd, 1 Example Street<\/footer>/)
})

test('a view of the organisation that does not compile stops the start, by its name', async () => {
  const views = await makeTemporaryFolder('broken-views')
  try {
    await writeFile(join(views.path, 'layout.ejs'), '<% if (title { %>')
    await assert.rejects(
      startTestServer({ env: { VIEWS_DIR: views.path } }),
      (error) =>
        error instanceof ConfigError &&
        /^Gatehouse cannot start: one setting is wrong\.\n {2}VIEWS_DIR: layout\.ejs does not compile: .+$/.test(
          error.message,
        ),
    )
  } finally {
    await views.remove()
  }
})

test('without a brand, pages are those of the product', async () => {
  const plain = await startTestServer()
  try {
    const html = await (await fetch(`${plain.url}/login`)).text()
    assert.match(html, /<title>[^<]+ · Gatehouse<\/title>/)
    assert.doesNotMatch(html, /brand\.css|organisation\.css|class="site-links"/)
    const icon = await (await fetch(`${plain.url}/public/favicon.svg`)).text()
    assert.equal(icon, readFileSync(join(import.meta.dirname, '../../public/favicon.svg'), 'utf8'))
  } finally {
    await plain.close()
  }
})

test('the footer and errors lead to what is set', async () => {
  const linked = await startTestServer({
    env: { SUPPORT_URL: 'mailto:help@example.test', PRIVACY_URL: 'https://example.test/privacy' },
  })
  try {
    const html = await (await fetch(`${linked.url}/nowhere`)).text()
    const links = Array.from(html.matchAll(/<a href="([^"]+)">([^<]+)<\/a>/g), ([, href, words]) => `${words} ${href}`)
    assert.ok(links.includes('Help mailto:help@example.test'), links.join('\n'))
    assert.ok(links.includes('Privacy https://example.test/privacy'))
    assert.ok(links.includes('Contact support mailto:help@example.test'))
    assert.doesNotMatch(html, /Terms of use/)
  } finally {
    await linked.close()
  }
})
