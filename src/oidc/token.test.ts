import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { disableApp, enableApp, findApp, rotateSecret } from '../domain/apps/apps.ts'
import { notesApp, photosApp } from '../testing/portal/apps.ts'
import { answerIn, problemIn, tokensIn } from '../testing/portal/answers.ts'
import { Browser } from '../testing/browser/browser.ts'
import { claimsOf, Client, type Tokens } from '../testing/browser/client.ts'
import { createClock } from '../testing/portal/clock.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const CALLBACK = 'https://notes.example.test/callback'
const CODE_GRANT = 'authorization_code'
const clock = createClock()

let server: TestServer
let browser: Browser
let notes: Client
let papers: Client
let photos: Client
let tools: Client

before(async () => {
  server = await startTestServer({ clock })
  await server.addIdentity(ada)
  const paper = { ...notesApp, name: 'Papers', redirectUris: [CALLBACK, `${CALLBACK}/other`] }
  const tool = { ...notesApp, name: 'Tools', allowNoPkce: true }
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), CALLBACK)
  papers = new Client(server.url, 'papers', await server.addApp('papers', paper), CALLBACK)
  photos = new Client(server.url, 'photos', await server.addApp('photos', photosApp), 'https://photos.example.test/')
  tools = new Client(server.url, 'tools', await server.addApp('tools', tool), CALLBACK)
  browser = new Browser(server.url)
  await browser.signIn(ada)
})
after(() => server.close())

/** A request to the token endpoint that is not a proper form of a client. */
function post(body: string | Buffer, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${server.url}/oauth/token`, {
    method: 'POST',
    body: typeof body === 'string' ? body : new Uint8Array(body),
    headers: { 'content-type': 'application/x-www-form-urlencoded', authorization: basic(notes), ...headers },
  })
}

function basic({ id, secret }: { id: string; secret: string | null }): string {
  return `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`
}

async function assertDead(client: Client, tokens: Tokens): Promise<void> {
  assert.equal((await client.userinfo(tokens.access_token)).status, 401)
  assert.equal((await problemIn(await client.refresh(tokens.refresh_token))).error, 'invalid_grant')
}

test('a code gives an application token, a refresh token and an ID token, which must not be cached', async () => {
  const response = await notes.exchange(await notes.code(browser))
  assert.equal(response.headers.get('cache-control'), 'no-store')
  assert.match(response.headers.get('content-type') ?? '', /^application\/json/)
  const tokens = await tokensIn(response)
  assert.equal(tokens.token_type, 'Bearer')
  assert.equal(tokens.expires_in, 300)
  assert.equal(tokens.scope, 'openid profile email')
  for (const token of [tokens.access_token, tokens.refresh_token, tokens.id_token]) assert.equal(typeof token, 'string')
  assert.equal(response.headers.get('set-cookie'), null)
})

test('a public app exchanges its code without a secret', async () => {
  const tokens = await photos.connect(browser)
  assert.equal((await photos.userinfo(tokens.access_token)).status, 200)
})

test('a code that is used twice ends the family that the first use opened', async () => {
  const code = await notes.code(browser)
  const tokens = await tokensIn(await notes.exchange(code))
  const again = await problemIn(await notes.exchange(code))
  assert.deepEqual([again.status, again.error], [400, 'invalid_grant'])
  assert.equal((await notes.userinfo(tokens.access_token)).status, 401)
  assert.equal((await problemIn(await notes.refresh(tokens.refresh_token))).reason, 'reused')
})

for (const [what, change] of Object.entries<Record<string, string | null>>({
  'another registered redirect URI': { redirect_uri: `${CALLBACK}/other` },
  'a redirect URI of another app': { redirect_uri: 'https://evil.test/' },
  'a wrong verifier': { code_verifier: 'x'.repeat(43) },
  'no verifier': { code_verifier: null },
})) {
  test(`a code with ${what} is refused, and neither burnt nor any less good afterwards`, async () => {
    const code = await papers.code(browser)
    const problem = await problemIn(await papers.exchange(code, change))
    assert.deepEqual(problem, {
      status: 400,
      error: 'invalid_grant',
      error_description: 'grant request is invalid',
      error_uri: `${server.url}/docs/errors#invalid_grant`,
    })
    assert.equal((await papers.exchange(code)).status, 200)
  })
}

test('a code of another app is refused with the same words, and stays good for its own', async () => {
  const code = await papers.code(browser)
  for (const thief of [notes, photos]) {
    const problem = await problemIn(await thief.exchange(code, { code_verifier: papers.verifier }))
    assert.deepEqual(problem, {
      status: 400,
      error: 'invalid_grant',
      error_description: 'grant request is invalid',
      error_uri: `${server.url}/docs/errors#invalid_grant`,
    })
  }
  assert.equal((await papers.exchange(code)).status, 200)
})

test('a wrong secret does not burn a code', async () => {
  const code = await papers.code(browser)
  const thief = new Client(server.url, 'papers', 'wrong', CALLBACK)
  assert.equal((await thief.exchange(code, { code_verifier: papers.verifier })).status, 401)
  assert.equal((await papers.exchange(code)).status, 200)
})

test('a used code that another app shows, or shows without its verifier, ends nothing', async () => {
  const code = await papers.code(browser)
  const tokens = await tokensIn(await papers.exchange(code))
  assert.equal((await papers.exchange(code, { code_verifier: 'x'.repeat(43) })).status, 400)
  assert.equal((await notes.exchange(code, { code_verifier: papers.verifier })).status, 400)
  assert.equal((await papers.userinfo(tokens.access_token)).status, 200)
})

test('a verifier is refused for a code that was asked for without a challenge', async () => {
  const code = await tools.code(browser, { code_challenge: null, code_challenge_method: null })
  assert.equal((await problemIn(await tools.exchange(code))).error, 'invalid_grant')
  assert.equal((await tools.exchange(code, { code_verifier: null })).status, 200)
})

test('a verifier is demanded for a code that was asked for with a challenge, also from an app that could do without', async () => {
  const code = await tools.code(browser)
  assert.equal((await problemIn(await tools.exchange(code, { code_verifier: null }))).error, 'invalid_grant')
})

for (const verifier of ['short', 'x'.repeat(129), `${'x'.repeat(42)}=`, 'ü'.repeat(43)]) {
  test(`a verifier like ${verifier.slice(0, 8)}… (${verifier.length}) is malformed`, async () => {
    const code = await notes.code(browser)
    const problem = await problemIn(await notes.exchange(code, { code_verifier: verifier }))
    assert.deepEqual([problem.status, problem.error], [400, 'invalid_request'])
    assert.equal((await notes.exchange(code)).status, 200)
  })
}

test('a code is good for a minute', async () => {
  const [early, late] = [await notes.code(browser), await notes.code(browser)]
  clock.advance(59)
  assert.equal((await notes.exchange(early)).status, 200)
  clock.advance(2)
  assert.equal((await problemIn(await notes.exchange(late))).error, 'invalid_grant')
})

test('a code does not outlive the sign-in it came from', async () => {
  const other = new Browser(server.url)
  await other.signIn(ada)
  const code = await notes.code(other)
  await other.post('/logout', {})
  assert.equal((await problemIn(await notes.exchange(code))).error, 'invalid_grant')
})

test('a code does not outlive the app being disabled', async () => {
  const code = await papers.code(browser)
  const app = await findApp(server.services, 'papers')
  assert.ok(app)
  await disableApp(server.services, app)
  assert.deepEqual((await problemIn(await papers.exchange(code))).error, 'invalid_client')
  const page = await browser.get(papers.authorizeUrl())
  assert.equal(page.status, 400)
  assert.deepEqual(answerIn(page, CALLBACK), {})
  await enableApp(server.services, app)
  assert.ok(await papers.code(browser))
})

test('an unknown app and a wrong secret are answered alike', async () => {
  const code = await notes.code(browser)
  const answers = await Promise.all(
    [
      { id: 'notes', secret: 'wrong' },
      { id: 'nope', secret: 'wrong' },
      { id: 'notes', secret: '' },
      { id: '__proto__', secret: 'wrong' },
      { id: 'photos', secret: 'wrong' },
    ].map(async (credentials) => {
      const response = await post(`grant_type=${CODE_GRANT}&code=${code}`, { authorization: basic(credentials) })
      return { status: response.status, body: await response.text() }
    }),
  )
  assert.equal(answers[0]?.status, 401)
  assert.equal(JSON.parse(answers[0].body).error, 'invalid_client')
  for (const answer of answers) if (answer.status === 401) assert.equal(answer.body, answers[0].body)
  for (const answer of answers) assert.ok(answer.status === 401 || answer.status === 400, JSON.stringify(answer))
  assert.deepEqual(answers[1], answers[0])
})

test('a secret belongs in one place: not twice, not in the address, not nowhere', async () => {
  const code = await notes.code(browser)
  const form = `grant_type=${CODE_GRANT}&code=${code}&redirect_uri=${CALLBACK}&code_verifier=${notes.verifier}`
  const credentials = `client_id=notes&client_secret=${notes.secret}`
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const send = (query: string, body: string) =>
    fetch(`${server.url}/oauth/token?${query}`, { method: 'POST', headers, body })

  assert.equal((await post(`${form}&${credentials}`)).status, 400)
  assert.ok([400, 401].includes((await send(credentials, form)).status))
  assert.ok([400, 401].includes((await send('', form)).status))
  assert.ok([400, 401].includes((await send('', `${form}&client_id=notes`)).status))
  assert.equal((await send('', `${form}&${credentials}`)).status, 200)
})

test('a new secret works at once, and the one before for a day more', async () => {
  const app = await findApp(server.services, 'papers')
  assert.ok(app)
  const renewed = new Client(server.url, 'papers', await rotateSecret(server.services, app), CALLBACK)
  await renewed.connect(browser)
  await papers.connect(browser)
  clock.advance(24 * 3600 + 1)
  await renewed.connect(browser)
  const problem = await problemIn(await papers.exchange(await papers.code(browser)))
  assert.deepEqual([problem.status, problem.error], [401, 'invalid_client'])
})

for (const grant of [
  'password',
  'client_credentials',
  'implicit',
  'urn:ietf:params:oauth:grant-type:device_code',
  'urn:ietf:params:oauth:grant-type:token-exchange',
  'urn:ietf:params:oauth:grant-type:jwt-bearer',
  'urn:openid:params:grant-type:ciba',
  '__proto__',
]) {
  test(`the grant ${grant} gives nothing`, async () => {
    const subject = { subject_token: 'e30.e30.e30', subject_token_type: 'urn:ietf:params:oauth:token-type:jwt' }
    const fields = { username: ada.username, password: ada.password, scope: 'openid', ...subject }
    const problem = await problemIn(await notes.send('/oauth/token', { grant_type: grant, ...fields }))
    assert.equal(problem.status, 400)
    assert.match(problem.error, /^(unsupported_grant_type|unauthorized_client)$/)
  })
}

test('a signed assertion does not authenticate an app', async () => {
  const response = await fetch(`${server.url}/oauth/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: CODE_GRANT,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: 'e30.e30.e30',
    }),
  })
  assert.ok([400, 401].includes(response.status))
})

for (const [what, send] of Object.entries<() => Promise<Response>>({
  JSON: () => post('{"grant_type":"authorization_code"}', { 'content-type': 'application/json' }),
  'no content type': () => post(Buffer.from(`grant_type=${CODE_GRANT}`), { 'content-type': '' }),
  'plain text': () => post(`grant_type=${CODE_GRANT}`, { 'content-type': 'text/plain' }),
  'a form with files': () => post('--x--', { 'content-type': 'multipart/form-data; boundary=x' }),
  '70 kB': () => post(`grant_type=${CODE_GRANT}&code=${'x'.repeat(70_000)}`),
  'ten thousand fields': () => post(Array.from({ length: 10_000 }, (_, i) => `f${i}=`).join('&')),
  nothing: () => post(''),
  'a code twice': () => post(`grant_type=${CODE_GRANT}&code=a&code=b&redirect_uri=x`),
  'a grant type twice': () => post(`grant_type=${CODE_GRANT}&grant_type=refresh_token&code=a`),
  'a client id twice': () => post(`grant_type=${CODE_GRANT}&client_id=notes&client_id=photos`),
  'an empty code': () => post(`grant_type=${CODE_GRANT}&code=&redirect_uri=${CALLBACK}`),
  'a made-up code': () => post(`grant_type=${CODE_GRANT}&code=nope&redirect_uri=${CALLBACK}`),
})) {
  test(`a token request with ${what} is refused, and not cached`, async () => {
    const response = await send()
    assert.equal(response.status, ['70 kB', 'ten thousand fields'].includes(what) ? 413 : 400)
    assert.equal(response.headers.get('cache-control'), 'no-store')
    assert.match(response.headers.get('content-type') ?? '', /^application\/json/)
    assert.match((await problemIn(response)).error, /^invalid_(request|grant)$/)
  })
}

for (const method of ['GET', 'PUT', 'DELETE', 'HEAD']) {
  test(`tokens are not given to ${method}`, async () => {
    const response = await fetch(`${server.url}/oauth/token?grant_type=${CODE_GRANT}`, {
      method,
      headers: { authorization: basic(notes) },
    })
    assert.ok([404, 405].includes(response.status))
  })
}

test('a refused exchange ends nothing of another family of the same person and app', async () => {
  const standing = await notes.connect(browser)
  const code = await notes.code(browser)
  const doomed = await tokensIn(await notes.exchange(code))
  await notes.exchange(code)
  await assertDead(notes, doomed)
  assert.equal((await notes.userinfo(standing.access_token)).status, 200)
  assert.notEqual(claimsOf(standing.access_token)['fam'], claimsOf(doomed.access_token)['fam'])
})
