import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { LANGUAGES } from '../../i18n/catalogues.ts'
import { Browser } from '../../testing/browser/browser.ts'
import { readPage } from '../../testing/browser/page.ts'
import { startTestServer, type TestServer } from '../../testing/portal/server.ts'

let server: TestServer
let browser: Browser

before(async () => {
  server = await startTestServer({ env: { ORGANISATION_NAME: 'Example Ltd' } })
  browser = new Browser(server.url)
})
after(() => server.close())

/** The paths of the mails on the page that lists them. */
async function paths(language: string): Promise<string[]> {
  const { html } = await readPage(await browser.get(`/dev/mails?language=${language}`))
  return [...html.matchAll(/<h2 [^>]*><a href="([^"?]+)\?language=([\w-]+)">/g)].map(([, path = '', said]) => {
    assert.equal(said, language)
    return path
  })
}

for (const language of LANGUAGES)
  test(`every mail is shown in ${language}, as text and as HTML that loads and runs nothing`, async () => {
    const listed = await paths(language)
    assert.ok(listed.length >= 15)
    for (const path of listed) {
      const page = await readPage(await browser.get(`${path}?language=${language}`))
      assert.equal(page.status, 200)
      assert.match(page.html, new RegExp(`<pre lang="${language}" dir="auto">Example Ltd\\n`))
      const response = await browser.get(`${path}/html?language=${language}`)
      assert.match(
        response.headers.get('content-security-policy') ?? '',
        /^default-src 'none'; style-src 'sha256-[\w+/]{43}='; img-src data:; frame-ancestors 'none'$/,
      )
      assert.match(await response.text(), new RegExp(`^<!doctype html>\\n<html lang="${language}"`))
    }
  })

test('another language is English, and another mail is none', async () => {
  const { html } = await readPage(await browser.get('/dev/mails?language=tlh'))
  assert.match(html, /New sign-in to your Example Ltd account/)
  for (const kind of ['unknown', 'constructor', '%00', '..%2f'])
    for (const suffix of ['', '/html']) assert.equal((await browser.get(`/dev/mails/${kind}${suffix}`)).status, 404)
})

test('no request that a proxy forwarded sees them, and no portal that sends mail has them', async () => {
  const forwarded = await fetch(`${server.url}/dev/mails`, { headers: { 'x-forwarded-for': '127.0.0.1' } })
  assert.equal(forwarded.status, 404)
  const sending = await startTestServer({ env: { SMTP_URL: 'smtp://127.0.0.1:9' } })
  try {
    for (const path of ['/dev/mails', '/dev/mails/erased', '/dev/mails/erased/html'])
      assert.equal((await fetch(sending.url + path)).status, 404)
  } finally {
    await sending.close()
  }
})
