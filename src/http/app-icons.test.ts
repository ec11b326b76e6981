import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { changeApp, findApp, type AppRow } from '../domain/apps/apps.ts'
import { readIcon } from '../domain/apps/app-icons.ts'
import { portOf, send } from '../testing/network/wire.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'
import { iconUrlOf } from './app-icons.ts'

const PNG = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex')
const SVG = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'

let server: TestServer
let app: AppRow

before(async () => {
  server = await startTestServer()
  await server.addApp('notes', notesApp)
  app = (await findApp(server.services, 'notes')) as AppRow
})
after(() => server.close())

test('the picture of an app is kept for a year under the URL of its content, without a cookie', async () => {
  const { icon } = await changeApp(server.services, app, {}, readIcon(PNG))
  const path = iconUrlOf({ clientId: 'notes', icon }) as string
  const response = await load(path)
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('content-type'), 'image/png')
  assert.equal(response.headers.get('cache-control'), 'public, max-age=31536000, immutable')
  assert.equal(response.headers.get('set-cookie'), null)
  assert.deepEqual(Buffer.from(await response.arrayBuffer()), PNG)
  const headers = { host: new URL(server.url).host, 'if-none-match': response.headers.get('etag') as string }
  assert.equal((await send(portOf(server.url), { path, headers })).status, 304)
})

test('an SVG runs nothing, also when it is opened by itself', async () => {
  const { icon } = await changeApp(server.services, app, {}, readIcon(Buffer.from(SVG)))
  const { headers } = await load(iconUrlOf({ clientId: 'notes', icon }) as string)
  assert.match(headers.get('content-type') as string, /^image\/svg\+xml/)
  assert.equal(headers.get('x-content-type-options'), 'nosniff')
  const directives = (headers.get('content-security-policy') as string).split('; ')
  assert.deepEqual(directives.toSorted(), [
    "default-src 'none'",
    "frame-ancestors 'none'",
    'sandbox',
    "style-src 'unsafe-inline'",
  ])
})

test('a picture that the app has no more, or never had, is not there', async () => {
  const { icon: before } = await changeApp(server.services, app, {}, readIcon(PNG))
  await changeApp(server.services, app, {}, readIcon(Buffer.from(SVG)))
  for (const path of [
    `/app-icons/notes/${before}`,
    `/app-icons/other/${before}`,
    '/app-icons/notes/x',
    `/app-icons/notes/${'x'.repeat(22)}`,
    `/app-icons/%00/${before}`,
    `/app-icons/${'x'.repeat(200)}/${before}`,
  ])
    assert.equal((await load(path)).status, 404, path)
  assert.equal(iconUrlOf({ clientId: 'notes', icon: null }), null)
})

async function load(path: string): Promise<Response> {
  return fetch(new URL(path, server.url), { redirect: 'manual' })
}
