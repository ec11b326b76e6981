import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { createRemoteJWKSet, jwtVerify, type JWTVerifyGetKey } from 'jose'
import { tokensIn } from '../testing/portal/answers.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client, type Tokens } from '../testing/browser/client.ts'
import { createClock } from '../testing/portal/clock.ts'
import { addTotp } from '../testing/portal/factors.ts'
import { readPage } from '../testing/browser/page.ts'
import { ada, grace } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'
import { codeOf } from '../testing/portal/totp.ts'

const MAX_AGE = 600
const clock = createClock()
let server: TestServer
let notes: Client
let api: Server
let apiUrl: string

before(async () => {
  server = await startTestServer({ clock })
  await server.addIdentity(ada)
  await server.addIdentity(grace)
  const secret = await server.addApp('notes', notesApp)
  notes = new Client(server.url, 'notes', secret, 'https://notes.example.test/callback')
  const keys = createRemoteJWKSet(new URL(`${server.url}/oauth/jwks`))
  api = createServer((req, res) => {
    void answer(req, res, keys)
  })
  api.listen(0, '127.0.0.1')
  await once(api, 'listening')
  apiUrl = `http://127.0.0.1:${(api.address() as AddressInfo).port}/`
})
after(async () => {
  api.closeAllConnections()
  api.close()
  await server.close()
})

/** An API that wants two factors of the last ten minutes (RFC 9470 §3), and verifies tokens offline. */
async function answer(req: IncomingMessage, res: ServerResponse, keys: JWTVerifyGetKey): Promise<void> {
  const token = (req.headers.authorization ?? '').replace(/^Bearer /, '')
  const wanted = { issuer: server.url, audience: 'notes', typ: 'at+jwt', currentDate: clock() }
  const { payload } = await jwtVerify(token, keys, wanted)
  const age = clock().getTime() / 1000 - (payload['auth_time'] as number)
  const isStrong = payload['acr'] === 'mfa' && age <= MAX_AGE
  const challenge = `Bearer error="insufficient_user_authentication", acr_values="mfa", max_age=${MAX_AGE}`
  res.writeHead(isStrong ? 200 : 401, isStrong ? {} : { 'WWW-Authenticate': challenge }).end()
}

async function call(token: string): Promise<Response> {
  return fetch(apiUrl, { headers: { authorization: `Bearer ${token}` } })
}

/** The parameters of the challenge, which the app sends to the authorization endpoint (RFC 9470 §4). */
function askedIn(response: Response): Record<string, string> {
  const challenge = response.headers.get('www-authenticate') ?? ''
  assert.match(challenge, /error="insufficient_user_authentication"/)
  return Object.fromEntries(
    [...challenge.matchAll(/(acr_values|max_age)="?([^",]+)"?/g)].map(([, name, value]) => [name, value]),
  ) as Record<string, string>
}

/** Signs in with the password alone, and adds an authenticator app elsewhere. */
async function signInWeakly(person: typeof ada): Promise<{ browser: Browser; key: string }> {
  const browser = new Browser(server.url)
  await browser.signIn(person)
  const elsewhere = new Browser(server.url)
  await elsewhere.signIn(person)
  const { key } = await addTotp(elsewhere, clock())
  clock.advance(60)
  return { browser, key }
}

/** Answers the page that asks for a code. @returns the tokens of the authorization */
async function sendCode(browser: Browser, response: Response, key: string): Promise<Tokens> {
  const form = (await readPage(response)).forms.find(({ fields }) => 'code' in fields) ?? assert.fail()
  const answer = await browser.post(form.action, { ...form.fields, code: codeOf(key, clock()) })
  const { url } = await browser.follow(answer)
  return tokensIn(await notes.exchange(new URL(url).searchParams.get('code') ?? ''))
}

async function errorOf(browser: Browser, change: Record<string, string>): Promise<string | null> {
  const { url } = await browser.follow(await browser.get(notes.authorizeUrl(change)))
  return new URL(url).searchParams.get('error')
}

test('an app brings an API the second factor that it asks for', async () => {
  const { browser, key } = await signInWeakly(ada)
  const weak = await notes.connect(browser)
  const refused = await call(weak.access_token)
  assert.equal(refused.status, 401)
  const asked = askedIn(refused)
  assert.deepEqual(asked, { acr_values: 'mfa', max_age: '600' })
  // A refresh keeps how and when the user signed in.
  const refreshed = await tokensIn(await notes.refresh(weak.refresh_token))
  assert.equal((await call(refreshed.access_token)).status, 401)
  assert.equal(await errorOf(browser, { ...asked, prompt: 'none' }), 'interaction_required')

  const { response } = await browser.follow(await browser.get(notes.authorizeUrl(asked)))
  const strong = await sendCode(browser, response, key)
  assert.equal((await call(strong.access_token)).status, 200)
})

test('an app brings an API the recent sign-in that it asks for', async () => {
  // The library reads a clock of its own.
  const ahead = (clock().getTime() - Date.now()) / 1000
  clock.advance(-ahead - MAX_AGE - 200)
  const { browser, key } = await signInWeakly(grace)
  const { response } = await browser.follow(await browser.get(notes.authorizeUrl({ acr_values: 'mfa' })))
  const old = await sendCode(browser, response, key)
  clock.advance(MAX_AGE + 140)

  const { refresh_token: token } = old
  const asked = askedIn(await call((await tokensIn(await notes.refresh(token))).access_token))
  assert.equal(await errorOf(browser, { ...asked, prompt: 'none' }), 'login_required')
  const signIn = (await browser.follow(await browser.get(notes.authorizeUrl(asked)))).response
  const form = (await readPage(signIn)).forms[0] ?? assert.fail()
  const fields = { ...form.fields, login: grace.username, password: grace.password }
  const second = await browser.follow(await browser.post(form.action, fields))
  const recent = await sendCode(browser, second.response, key)
  assert.equal((await call(recent.access_token)).status, 200)
})

test('a class that no user can reach here is refused when it is essential', async () => {
  const browser = new Browser(server.url)
  await browser.signIn(ada)
  const claims = JSON.stringify({ id_token: { acr: { essential: true, values: ['phrh'] } } })
  assert.equal(await errorOf(browser, { claims, max_age: '600' }), 'unmet_authentication_requirements')
})
