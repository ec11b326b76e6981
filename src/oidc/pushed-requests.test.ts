import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { notesApp, photosApp } from '../testing/portal/apps.ts'
import { answerIn, problemIn } from '../testing/portal/answers.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client } from '../testing/browser/client.ts'
import { readPage } from '../testing/browser/page.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const CALLBACK = 'https://notes.example.test/callback'

for (const kind of ['postgres', 'postgres+redis'] as const) {
  let server: TestServer
  let browser: Browser
  let notes: Client
  let papers: Client
  let photos: Client

  before(async () => {
    server = await startTestServer({ kind })
    await server.addIdentity(ada)
    notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), CALLBACK)
    papers = new Client(server.url, 'papers', await server.addApp('papers', { ...notesApp, name: 'Papers' }), CALLBACK)
    photos = new Client(server.url, 'photos', await server.addApp('photos', photosApp), 'https://photos.example.test/')
    browser = new Browser(server.url)
    await browser.signIn(ada)
  })
  after(() => server.close())

  function push(client: Client, change: Record<string, string | null> = {}): Promise<Response> {
    return client.send('/oauth/par', Object.fromEntries(new URL(client.authorizeUrl(change)).searchParams))
  }

  async function pushed(client: Client): Promise<string> {
    const response = await push(client)
    assert.equal(response.status, 201)
    assert.match(response.headers.get('cache-control') ?? '', /no-store/)
    const { request_uri: uri, expires_in: life } = (await response.json()) as {
      request_uri: string
      expires_in: number
    }
    assert.ok(life > 0 && life <= 60, String(life))
    return uri
  }

  function authorize(client: Client, uri: string): Promise<Response> {
    return browser.get(`/oauth/authorize?client_id=${client.id}&request_uri=${encodeURIComponent(uri)}`)
  }

  test(`a pushed request gives a code, once (${kind})`, async () => {
    const uri = await pushed(notes)
    const { code, state } = answerIn(await authorize(notes, uri), CALLBACK)
    assert.equal(state, 'state')
    assert.equal((await notes.exchange(code as string)).status, 200)

    const again = await authorize(notes, uri)
    assert.equal(again.status, 400)
    assert.match((await readPage(again)).text, /invalid_request_uri/)
  })

  test(`of ten uses of one pushed request at once, one gets a code (${kind})`, async () => {
    const uri = await pushed(notes)
    const answers = await Promise.all(Array.from({ length: 10 }, () => authorize(notes, uri)))
    const codes = answers.filter((answer) => answerIn(answer, CALLBACK)['code'] !== undefined)
    assert.equal(codes.length, 1)
    // Who found it used gets a page; who found it and came second to use it is sent back with an error.
    const isRefused = (answer: Response) => answer.status === 400 || answerIn(answer, CALLBACK)['error'] !== undefined
    assert.equal(answers.filter(isRefused).length, 9)
  })

  test(`a pushed request is good only for the app that pushed it (${kind})`, async () => {
    const uri = await pushed(notes)
    const response = await authorize(papers, uri)
    assert.equal(answerIn(response, CALLBACK)['code'], undefined)
    assert.equal(response.status, 400)
    assert.match((await readPage(response)).text, /invalid_request/)
  })

  test(`a public app may push its request too (${kind})`, async () => {
    const uri = await pushed(photos)
    assert.ok(answerIn(await authorize(photos, uri), photos.redirectUri)['code'])
  })

  test(`a pushed request stays out of sight while the person signs in (${kind})`, async () => {
    const uri = await pushed(notes)
    const stranger = new Browser(server.url)
    const response = await stranger.get(`/oauth/authorize?client_id=notes&request_uri=${encodeURIComponent(uri)}`)
    assert.match(response.headers.get('location') ?? '', /^\/interaction\/[\w-]+$/)
    const page = await readPage(await stranger.get(response.headers.get('location') as string))
    const fields = { ...page.forms[0]?.fields, login: 'ada', password: ada.password }
    const { url } = await stranger.follow(await stranger.post('/login', fields))
    assert.ok(new URL(url).searchParams.get('code'), url)
  })

  for (const [what, change, error] of [
    ['an address that is not the app’s', { redirect_uri: 'https://evil.test/' }, 'invalid_request'],
    ['no address', { redirect_uri: null }, 'invalid_request'],
    ['no PKCE', { code_challenge: null, code_challenge_method: null }, 'invalid_request'],
    ['another response type', { response_type: 'token' }, 'unsupported_response_type'],
    ['another request in it', { request_uri: 'urn:ietf:params:oauth:request_uri:x' }, 'request_uri_not_supported'],
  ] as const) {
    test(`a pushed request with ${what} is refused at once (${kind})`, async () => {
      const problem = await problemIn(await push(notes, change))
      assert.equal(problem.status, 400)
      assert.equal(problem.error, error)
    })
  }

  test(`an app with a wrong secret, and an unknown app, push nothing (${kind})`, async () => {
    for (const client of [
      new Client(server.url, 'notes', 'wrong', CALLBACK),
      new Client(server.url, 'nope', 'wrong', CALLBACK),
    ]) {
      const problem = await problemIn(await push(client))
      assert.deepEqual([problem.status, problem.error], [401, 'invalid_client'])
    }
  })

  test(`a request that was never pushed is refused (${kind})`, async () => {
    for (const uri of [
      'urn:ietf:params:oauth:request_uri:never',
      'urn:ietf:params:oauth:request_uri:',
      `urn:${'x'.repeat(4000)}`,
    ]) {
      const response = await authorize(notes, uri)
      assert.equal(answerIn(response, CALLBACK)['code'], undefined)
      assert.ok(response.status < 500)
    }
  })
}
