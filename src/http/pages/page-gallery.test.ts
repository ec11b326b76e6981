// Runs in a process of its own: it looks at which modules a portal has loaded.
import assert from 'node:assert/strict'
import { registerHooks } from 'node:module'
import { test } from 'node:test'
import { findFreePort } from '../../storage/embedded/free-port.ts'
import { send } from '../../testing/network/wire.ts'

const loaded: string[] = []
registerHooks({
  load(url, context, nextLoad) {
    loaded.push(url)
    return nextLoad(url, context)
  },
})
const { startTestServer } = await import('../../testing/portal/server.ts')

const isLoaded = (file: string) => loaded.some((url) => url.endsWith(file))

test('production has no gallery, and does not load what it shows', async () => {
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
    for (const path of ['/dev/pages', '/dev/pages/show?view=sessions%2Fnew&state=usual']) {
      assert.equal((await send(port, { path, headers: { Host: 'portal.example.test' } })).status, 404)
    }
    assert.ok(isLoaded('/pages/page-gallery.ts'))
    assert.ok(!isLoaded('/sample-pages.ts'))
  } finally {
    await production.close()
  }
})

test('the gallery is for a browser on this machine, in development', async () => {
  const server = await startTestServer()
  try {
    const show = '/dev/pages/show?view=sessions%2Fnew&state=usual'
    for (const path of ['/dev/pages', show]) {
      assert.equal((await fetch(server.url + path)).status, 200)
      assert.equal((await fetch(server.url + path, { headers: { 'X-Forwarded-For': '192.0.2.7' } })).status, 404)
    }
    assert.equal((await fetch(`${server.url}/dev/pages/show?view=layout&state=usual`)).status, 404)
    assert.ok(isLoaded('/sample-pages.ts'))
  } finally {
    await server.close()
  }
})
