import assert from 'node:assert/strict'
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { findFreePort } from '../storage/embedded/free-port.ts'
import { send } from '../testing/network/wire.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'
import { createAssets } from './assets.ts'
import { SAMPLE_PAGES } from './sample-pages.ts'
import { createTemplates } from './templates.ts'

const VIEWS = join(import.meta.dirname, '../../views')

let server: TestServer
before(async () => (server = await startTestServer()))
after(() => server.close())

test('every view is in the gallery, and each state once', () => {
  const views = globSync('**/*.ejs', { cwd: VIEWS })
    .map((file) => file.replace(/\.ejs$/, ''))
    // What other views include, the layout around all, and mails.
    .filter((view) => !/(^|\/)_|^partials\/|^layout$|^mail\//.test(view))
  assert.deepEqual([...new Set(SAMPLE_PAGES.map(({ view }) => view))].toSorted(), views.toSorted())
  assert.equal(new Set(SAMPLE_PAGES.map(({ view, state }) => `${view} ${state}`)).size, SAMPLE_PAGES.length)
})

test('every sample has a title, a heading and no missing text', async () => {
  const templates = createTemplates(await createAssets(false), false)
  for (const { view, state, page, locals } of SAMPLE_PAGES) {
    const html = await templates.toString(view, page, locals)
    assert.match(html, /<title>[^<]*\w[^<]* · Gatehouse<\/title>/, `${view}, ${state}`)
    assert.match(html, /<h1\b[^>]*>\s*\S/, `${view}, ${state}`)
    const text = html.replaceAll(/<(script|style)\b.*?<\/\1>/gs, '').replaceAll(/<[^>]*>/g, ' ')
    assert.doesNotMatch(text, /\b(undefined|null|NaN)\b|\[object /, `${view}, ${state}`)
    assert.doesNotMatch(html, /="(undefined|null)"|(href|action|datetime)=""/, `${view}, ${state}`)
  }
})

test('the gallery is for a browser on this machine, in development', async () => {
  const show = '/dev/pages/show?view=sessions%2Fnew&state=usual'
  for (const path of ['/dev/pages', show]) {
    assert.equal((await fetch(server.url + path)).status, 200)
    assert.equal((await fetch(server.url + path, { headers: { 'X-Forwarded-For': '192.0.2.7' } })).status, 404)
  }
  assert.equal((await fetch(`${server.url}/dev/pages/show?view=layout&state=usual`)).status, 404)
  const port = await findFreePort()
  const production = await startTestServer({
    env: {
      NODE_ENV: 'production',
      PORT: String(port),
      PUBLIC_URL: 'https://portal.example.test',
      SMTP_URL: 'smtp://127.0.0.1:1',
      MAIL_FROM: 'portal@example.test',
    },
  })
  try {
    assert.equal((await send(port, { path: '/dev/pages', headers: { Host: 'portal.example.test' } })).status, 404)
  } finally {
    await production.close()
  }
})
