import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { notesApp } from '../testing/portal/apps.ts'
import { jsonIn } from '../testing/portal/answers.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client } from '../testing/browser/client.ts'
import { readPage } from '../testing/browser/page.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const CALLBACK = 'https://notes.example.test/callback'
const FOREIGN = { origin: 'https://notes.example.test', 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }

let server: TestServer
let browser: Browser
let notes: Client

before(async () => {
  server = await startTestServer()
  await server.addIdentity(ada)
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), CALLBACK)
  browser = new Browser(server.url)
  await browser.signIn(ada)
})
after(() => server.close())

/** A form that a page of the app sends; the browser leaves its Lax cookies out. */
async function send(path: string, body: string | Blob, headers: Record<string, string> = FOREIGN): Promise<Response> {
  const type = { 'content-type': 'application/x-www-form-urlencoded' }
  return fetch(new URL(path, server.url), {
    method: 'POST',
    body,
    redirect: 'manual',
    headers: { ...type, ...headers },
  })
}

function queryOf(url: string): string {
  return url.slice(url.indexOf('?') + 1)
}

test('an authorization request in a form of another site becomes a GET, which gets a code', async () => {
  for (const headers of [FOREIGN, { origin: 'null' }, undefined]) {
    const response = await send('/oauth/authorize', queryOf(notes.authorizeUrl()), headers)
    assert.equal(response.status, 303)
    assert.equal(response.headers.get('cache-control'), 'no-store')
    assert.deepEqual(response.headers.getSetCookie(), [])
    const { url } = await browser.follow(response)
    assert.ok(new URL(url).searchParams.get('code'), url)
  }
})

test('every parameter of a form arrives as it was sent, beside those of the address', async () => {
  for (const [path, body, location] of [
    ['/oauth/authorize', 'a=%FF&b=%2f+x&c=&d', '/oauth/authorize?a=%FF&b=%2f+x&c=&d'],
    ['/oauth/authorize?x=1', 'y=2', '/oauth/authorize?x=1&y=2'],
    ['/oauth/logout?', 'state=<a b>#\r\né', '/oauth/logout?state=%3Ca%20b%3E%23%0D%0A%C3%A9'],
    ['/oauth/logout', '', '/oauth/logout'],
    ['/oauth/authorize', '//evil.example.test/', '/oauth/authorize?//evil.example.test/'],
  ] as const) {
    assert.equal((await send(path, body)).headers.get('location'), location)
  }
  const doubled = await browser.follow(await send(notes.authorizeUrl(), 'state=other'))
  assert.match(doubled.url, /error=invalid_request/)
})

test('a pushed request is named in a form', async () => {
  const pushed = await jsonIn(
    await notes.send('/oauth/par', Object.fromEntries(new URL(notes.authorizeUrl()).searchParams)),
  )
  const form = new URLSearchParams({ client_id: 'notes', request_uri: pushed['request_uri'] as string })
  const { url } = await browser.follow(await send('/oauth/authorize', form.toString()))
  assert.ok(new URL(url).searchParams.get('code'), url)
})

test('an app signs out with a form, and the person is asked as with an address', async () => {
  const other = new Browser(server.url)
  await other.signIn(ada)
  const { id_token: hint } = await notes.connect(other)
  const fields = { id_token_hint: hint, post_logout_redirect_uri: 'https://notes.example.test/', state: 'bye' }
  const answer = await send('/oauth/logout', new URLSearchParams(fields).toString())
  assert.equal(answer.status, 303)
  const page = await readPage((await other.follow(answer)).response)
  // The form by itself has changed nothing, and its confirmation keeps its protection.
  assert.equal((await other.get('/dashboard')).status, 200)
  const [form] = page.forms
  assert.equal((await other.post(form?.action ?? '', form?.fields ?? {}, FOREIGN)).status, 403)
  const { url } = await other.follow(await other.post(form?.action ?? '', { ...form?.fields, logout: 'yes' }))
  assert.equal(url, 'https://notes.example.test/?state=bye')
  assert.equal((await other.get('/dashboard')).status, 303)
})

test('a form that is too long, or none, is refused in words', async () => {
  const long = await send('/oauth/authorize', `state=${'x'.repeat(13_000)}`)
  assert.equal(long.status, 413)
  assert.match((await readPage(long)).text, /more than fits into an address/)
  assert.equal((await send('/oauth/authorize', `state=${'x'.repeat(40_000)}`)).status, 413)
  for (const type of ['application/json', 'multipart/form-data; boundary=x', 'text/plain']) {
    const refused = await send('/oauth/logout', '{}', { ...FOREIGN, 'content-type': type })
    assert.equal(refused.status, 415, type)
    assert.match((await readPage(refused)).text, /not a form/)
  }
  assert.equal(
    (await send('/oauth/authorize', 'a=b', { 'content-type': 'Application/x-www-form-urlencoded ;charset=UTF-8' }))
      .status,
    303,
  )
})

test('every other form of another site is refused as before', async () => {
  for (const path of ['/login', '/logout', '/oauth/logout/confirm', '/oauth/authorize/uid', '/oauth/logout/success'])
    assert.equal((await send(path, 'a=b')).status, 403, path)
})
