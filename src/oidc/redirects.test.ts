import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { deskApp, notesApp, photosApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client } from '../testing/browser/client.ts'
import { actionOf, readPage } from '../testing/browser/page.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'
import { withParameters } from './redirects.ts'

const WEB = [
  'https://notes.example.test/?a=%FF',
  "https://notes.example.test/?a=%2f+%20'b'&&c=",
  'https://Notes.Example.test:443/%7euser?x=<y>',
  'https://notes.example.test',
  'https://notes.example.test/?',
  'https://notes.example.test/?a=b?c',
  'http://app.localhost:8080/callback',
]
const NATIVE = ['com.Example.DESK:/Callback?A=%ff', 'http://app.localhost/callback', 'https://localhost/callback']

let server: TestServer
let browser: Browser
let notes: Client
let desk: Client

before(async () => {
  server = await startTestServer()
  await server.addIdentity(ada)
  const web = { ...notesApp, redirectUris: WEB, postLogoutRedirectUris: WEB }
  notes = new Client(server.url, 'notes', await server.addApp('notes', web), WEB[0] as string)
  const native = { ...deskApp, redirectUris: NATIVE }
  desk = new Client(server.url, 'desk', await server.addApp('desk', native), NATIVE[0] as string)
  browser = new Browser(server.url)
  await browser.signIn(ada)
})
after(() => server.close())

/** The parameters that were added to this very address. */
function addedTo(uri: string, response: Response, mark = uri.includes('?') ? '&' : '?'): URLSearchParams {
  const location = response.headers.get('location') ?? ''
  const start = uri.endsWith('?') ? uri : `${uri}${mark}`
  assert.ok(location.startsWith(start), `${location} does not begin with ${start}`)
  return new URLSearchParams(location.slice(start.length))
}

for (const uri of WEB) {
  test(`answers of both ways go to ${uri} as it is registered`, async () => {
    // A parameter that is not known keeps the request from the short way.
    for (const more of ['', '&unrelated=1']) {
      const response = await browser.get(`${notes.authorizeUrl({ redirect_uri: uri })}${more}`)
      const added = addedTo(uri, response)
      assert.deepEqual([...added.keys()].toSorted(), ['code', 'iss', 'state'])
      const tokens = await notes.exchange(added.get('code') as string, { redirect_uri: uri })
      assert.equal(tokens.status, 200)
    }
    const refused = await browser.get(notes.authorizeUrl({ redirect_uri: uri, code_challenge_method: 'plain' }))
    assert.equal(addedTo(uri, refused).get('error'), 'invalid_request')
    const fragment = await browser.get(notes.authorizeUrl({ redirect_uri: uri, response_mode: 'fragment' }))
    assert.ok(fragment.headers.get('location')?.startsWith(`${uri}#code=`))
  })

  test(`a logout leads to ${uri} as it is registered`, async () => {
    const leaving = new Browser(server.url)
    await leaving.signIn(ada)
    const query = new URLSearchParams({ client_id: 'notes', post_logout_redirect_uri: uri, state: 'a b' })
    const page = await readPage(await leaving.get(`/oauth/logout?${query}`))
    const { action, fields } = page.forms[0] as { action: string; fields: Record<string, string> }
    const done = await leaving.post(action, { ...fields, logout: 'yes' })
    assert.deepEqual([...addedTo(uri, done)], [['state', 'a b']])
    const signedOut = await new Browser(server.url).get(`/oauth/logout?${query}`)
    assert.deepEqual([...addedTo(uri, signedOut)], [['state', 'a b']])
  })
}

for (const uri of NATIVE) {
  test(`a native app hears at ${uri} as it is registered`, async () => {
    const { response } = await browser.follow(await browser.get(desk.authorizeUrl({ redirect_uri: uri })))
    const done = await browser.post(actionOf(await readPage(response), 'Continue to Desk'), {})
    const answer = await browser.get(done.headers.get('location') as string)
    assert.deepEqual([...addedTo(uri, answer).keys()].toSorted(), ['code', 'iss', 'state'])
  })
}

test('a native app on loopback names any port, and nothing else differs', async () => {
  const asked = async (uri: string) => (await browser.get(desk.authorizeUrl({ redirect_uri: uri }))).status
  for (const uri of ['http://app.localhost:1/callback', 'http://app.localhost:65535/callback'])
    assert.equal(await asked(uri), 303, uri)
  for (const uri of [
    'http://app.localhost:65536/callback',
    'http://app.localhost:1/callback?x',
    'http://app.localhost:1/a/../callback',
    'http://app.localhost:1/call\nback',
    'http://APP.localhost:1/callback',
    'http://x@app.localhost:1/callback',
    'http://other.localhost:1/callback',
    'http://app.localhost.evil.test:1/callback',
    'com.example.desk:/Callback?A=%ff',
    'com.Example.DESK:/Callback?A=%FF',
  ])
    assert.equal(await asked(uri), 400, uri)
  assert.equal((await browser.get(notes.authorizeUrl({ redirect_uri: 'http://app.localhost:1/callback' }))).status, 400)
})

test('an app that was registered with the name of an answer in its query hears each name once', () => {
  assert.equal(withParameters('https://a.test/?state=x&b=%FF', { state: 'y' }), 'https://a.test/?b=%FF&state=y')
})

test('a script of an app on a loopback name is answered by CORS', async () => {
  const origin = 'http://spa.localhost:5173'
  const app = { ...photosApp, redirectUris: [`${origin}/`] }
  await server.addApp('spa', app)
  const body = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: 'x', client_id: 'spa' })
  const response = await fetch(`${server.url}/oauth/token`, { method: 'POST', body, headers: { origin } })
  assert.equal(response.headers.get('access-control-allow-origin'), origin)
})
