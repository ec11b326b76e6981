import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import type { Request } from 'express'
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'

const LOGOUT = { 'http://schemas.openid.net/event/backchannel-logout': {} }
const NAMES = { sub: 'ada', sid: 'her-browser', fam: 'her-family' }

const keys = await generateKeyPair('RS256', { extractable: true })
const strangersKeys = await generateKeyPair('RS256')
/** All that Notes asks a portal for before it believes a logout token. */
const portal = createServer((req, res) => {
  res.setHeader('content-type', 'application/json')
  if (req.url === '/jwks') void exportJWK(keys.publicKey).then((jwk) => res.end(JSON.stringify({ keys: [jwk] })))
  else res.end(JSON.stringify({ issuer, jwks_uri: `${issuer}/jwks`, authorization_endpoint: issuer }))
})
let issuer: string
let notes: Server
let url: string
let findSession: typeof import('./sessions.ts').findSession

before(async () => {
  await once(portal.listen(0, '127.0.0.1'), 'listening')
  issuer = `http://127.0.0.1:${(portal.address() as AddressInfo).port}`
  Object.assign(process.env, { ISSUER: issuer, CLIENT_SECRET: 'secret', CLIENT_ID: 'notes' })
  // They read what they must be told when they are loaded.
  const { app } = await import('./app.ts')
  findSession = (await import('./sessions.ts')).findSession
  notes = app.listen(0, '127.0.0.1')
  await once(notes, 'listening')
  url = `http://127.0.0.1:${(notes.address() as AddressInfo).port}`
})
after(() => {
  notes.close()
  notes.closeAllConnections()
  portal.close()
  portal.closeAllConnections()
})

/** A logout token that is right in everything but what `change` says. */
async function logoutToken(change: JWTPayload = {}, { typ = 'logout+jwt', key = keys.privateKey } = {}) {
  const now = Math.floor(Date.now() / 1000)
  const claims = { iss: issuer, aud: 'notes', iat: now, exp: now + 120, jti: randomUUID(), events: LOGOUT, ...NAMES }
  return new SignJWT({ ...claims, ...change }).setProtectedHeader({ alg: 'RS256', typ }).sign(key)
}

async function tell(token: string): Promise<Response> {
  return fetch(`${url}/backchannel-logout`, { method: 'POST', body: new URLSearchParams({ logout_token: token }) })
}

/** A browser in which somebody is signed in to Notes. @returns what its next page says */
async function connected(names: { sub: string; sid?: string; fam?: string } = NAMES): Promise<() => Promise<string>> {
  const cookie = (await fetch(url)).headers.get('set-cookie')?.split(';')[0] ?? ''
  const session = findSession({ headers: { cookie } } as Request)
  assert.ok(session)
  const applicationToken = await new SignJWT({ fam: names.fam })
    .setProtectedHeader({ alg: 'RS256' })
    .sign(keys.privateKey)
  session.connection = {
    who: names.sub,
    sid: null,
    fam: null,
    ...names,
    applicationToken,
    idToken: applicationToken,
    refreshToken: 'refresh-token',
    expiresAt: Date.now() + 300_000,
    lifetime: 300,
    refreshes: 0,
    refreshedAt: null,
  }
  return async () => (await fetch(url, { headers: { cookie } })).text()
}

const OVER = /Gatehouse ended this connection, and told Notes at once\./

test('the connection that a logout token names is over on the next page, and no other', async () => {
  const page = await connected()
  const elsewhere = await connected({ ...NAMES, fam: 'another-family' })
  const answer = await tell(await logoutToken())
  assert.equal(answer.status, 200)
  assert.equal(answer.headers.get('cache-control'), 'no-store')
  assert.equal(await answer.text(), '')
  assert.match(await page(), OVER)
  assert.match(await elsewhere(), /Hello <span data-testid="who">ada/)
})

test('a portal that names no family ends what is of that session, or else of that person', async () => {
  const here = await connected({ sub: 'grace', sid: 'one' })
  const there = await connected({ sub: 'grace', sid: 'two' })
  const stranger = await connected({ sub: 'linus', sid: 'two' })
  await tell(await logoutToken({ sub: 'grace', sid: 'one', fam: undefined }))
  assert.match(await here(), OVER)
  assert.match(await there(), /Hello/)
  await tell(await logoutToken({ sub: 'grace', sid: undefined, fam: undefined }))
  assert.match(await there(), OVER)
  assert.match(await stranger(), /Hello/)
})

test('who hears the same logout twice says so, and keeps what has been connected since', async () => {
  const jti = randomUUID()
  const page = await connected({ sub: 'edsger' })
  const about = { sub: 'edsger', sid: undefined, fam: undefined, jti }
  assert.equal((await tell(await logoutToken(about))).status, 200)
  assert.match(await page(), OVER)
  const again = await connected({ sub: 'edsger' })
  assert.equal((await tell(await logoutToken(about))).status, 200)
  assert.match(await again(), /Hello/)
})

const SECONDS_AGO = (seconds: number) => Math.floor(Date.now() / 1000) - seconds

for (const [what, change, header] of [
  ['of another portal', { iss: 'https://elsewhere.example' }],
  ['for another app', { aud: 'photos' }],
  ['that has expired', { iat: SECONDS_AGO(130), exp: SECONDS_AGO(11) }],
  ['of last week that does not expire soon', { iat: SECONDS_AGO(604_800) }],
  ['from the future', { iat: SECONDS_AGO(-60) }],
  ['without a time', { iat: undefined }],
  ['without an expiry', { exp: undefined }],
  ['without an id', { jti: undefined }],
  ['with an id that is no text', { jti: 7 as unknown as string }],
  ['without events', { events: undefined }],
  ['about something else', { events: { 'https://example.test/other': {} } }],
  ['whose event is no object', { events: { 'http://schemas.openid.net/event/backchannel-logout': true } }],
  ['with a nonce', { nonce: 'nonce' }],
  ['about nobody', { sub: undefined, sid: undefined }],
  ['about a list', { fam: ['her-family'] }],
  ['that says it is an ID token', {}, { typ: 'JWT' }],
  ['that says it is an application token', {}, { typ: 'at+jwt' }],
  ['signed by a stranger', {}, { key: strangersKeys.privateKey }],
] as [string, JWTPayload, Parameters<typeof logoutToken>[1]?][]) {
  test(`a logout token ${what} is refused and ends nothing`, async () => {
    const page = await connected()
    const answer = await tell(await logoutToken(change, header))
    assert.equal(answer.status, 400)
    assert.equal(answer.headers.get('cache-control'), 'no-store')
    const { error, error_description } = (await answer.json()) as Record<string, string>
    assert.equal(error, 'invalid_request')
    assert.notEqual(error_description, '')
    assert.match(await page(), /Hello/)
  })
}

test('what is no logout token at all is refused', async () => {
  assert.equal((await tell('')).status, 400)
  assert.equal((await tell('a.b.c')).status, 400)
  const send = async (body: string, type: string) =>
    fetch(`${url}/backchannel-logout`, { method: 'POST', body, headers: { 'content-type': type } })
  assert.equal((await send('{}', 'application/json')).status, 400)
  assert.equal((await send('logout_token=a&logout_token=b', 'application/x-www-form-urlencoded')).status, 400)
  assert.equal((await send('x'.repeat(20_000), 'application/x-www-form-urlencoded')).status, 413)
})
