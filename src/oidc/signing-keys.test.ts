import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { after, before, test } from 'node:test'
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from 'jose'
import { findApplicationToken } from '../domain/families/application-tokens.ts'
import { createApp } from '../domain/apps/apps.ts'
import { type App, openApp } from '../main/app.ts'
import { createLogger } from '../logger.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { tokensIn } from '../testing/portal/answers.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client } from '../testing/browser/client.ts'
import { createClock } from '../testing/portal/clock.ts'
import { createDatabase, type TestDatabase } from '../testing/portal/databases.ts'
import { addIdentity } from '../testing/portal/identities.ts'
import { ada } from '../testing/portal/people.ts'
import { testConfig } from '../testing/portal/open-portal.ts'
import { findFreePort } from '../storage/embedded/free-port.ts'

const CALLBACK = 'https://notes.example.test/callback'
/** An API may keep the published keys for this long (seconds). */
const API_CACHE = 600
const clock = createClock()

let database: TestDatabase
let portals: [OpenPortal, OpenPortal]
let notes: Client
let legacy: Client
let browser: Browser

interface OpenPortal {
  app: App
  url: string
  close(): Promise<void>
}

before(async () => {
  database = await createDatabase()
  const first = await openPortal()
  portals = [first, await openPortal()]
  const { services } = first.app
  await addIdentity(services, ada)
  const { secret } = await createApp(services, 'notes', notesApp)
  const rsa = await createApp(services, 'legacy', { ...notesApp, name: 'Legacy', idTokenAlg: 'ES256' })
  notes = new Client(first.url, 'notes', secret, CALLBACK)
  legacy = new Client(first.url, 'legacy', rsa.secret, CALLBACK)
  browser = new Browser(first.url)
  await browser.signIn(ada)
})
after(async () => {
  for (const portal of portals) await portal.close()
  await database.drop()
})

/** A portal whose background work is done when the test says so. */
async function openPortal(): Promise<OpenPortal> {
  const port = await findFreePort()
  const config = testConfig(database, { PORT: String(port) })
  const app = await openApp(config, createLogger('silent'), clock)
  const server = createServer((req, res) => app.handle(req, res)).listen(port, config.host)
  await once(server, 'listening')
  return {
    app,
    url: config.publicUrl,
    async close() {
      server.close()
      server.closeAllConnections()
      await app.close()
    },
  }
}

async function publishedKeys(portal = portals[0]): Promise<JSONWebKeySet> {
  return (await (await fetch(`${portal.url}/oauth/jwks`)).json()) as JSONWebKeySet
}

function kidsIn({ keys }: JSONWebKeySet): string[] {
  return keys.map(({ kid }) => kid as string).toSorted()
}

async function everyPortalFollows(): Promise<void> {
  for (const { app } of portals) await app.protocol.followKeys()
}

test('the published keys are public halves with an id, a use and an algorithm each', async () => {
  const { keys } = await publishedKeys()
  assert.deepEqual(keys.map(({ alg }) => alg).toSorted(), ['ES256', 'RS256'])
  assert.equal(new Set(keys.map(({ kid }) => kid)).size, keys.length)
  for (const key of keys) {
    assert.equal(key.use, 'sig')
    assert.ok(key.kid && key.kid !== 'keystore-CHANGE-ME' && key.kid.length >= 16)
    for (const secret of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k', 'oth']) assert.equal(secret in key, false)
    if (key.kty === 'EC') assert.equal(key.crv, 'P-256')
    else assert.ok(Buffer.from(key.n as string, 'base64url').length * 8 >= 2048)
  }
})

test('portals on one database publish the same keys, also after a restart', async () => {
  assert.deepEqual(kidsIn(await publishedKeys(portals[1])), kidsIn(await publishedKeys(portals[0])))
  const again = await openPortal()
  assert.deepEqual(kidsIn(await publishedKeys(again)), kidsIn(await publishedKeys(portals[0])))
  await again.close()
})

test('keys rotate without one refused token, at any API, whatever moment it fetched its keys', async () => {
  const [first] = portals
  const before = await publishedKeys()
  await first.app.services.keys.rotate()
  await everyPortalFollows()

  const next = await publishedKeys()
  assert.equal(next.keys.length, 4)
  assert.deepEqual(await publishedKeys(portals[1]), next)
  for (const kid of kidsIn(before)) assert.ok(kidsIn(next).includes(kid))

  const caches: { fetchedAt: Date; keys: JSONWebKeySet }[] = []
  const issued: { token: string; expiresAt: number }[] = []
  const signers = new Set<string>()
  const { refresh_token: first_ } = await notes.connect(browser)
  let token = first_

  for (let minute = 0; minute <= 100; minute++) {
    // Ten APIs, each of which fetched the keys at another minute and keeps them for ten.
    caches.push({ fetchedAt: clock(), keys: await publishedKeys(portals[minute % 2 === 0 ? 0 : 1]) })
    const tokens = await tokensIn(await notes.refresh(token))
    token = tokens.refresh_token
    const { kid } = decodeProtectedHeader(tokens.access_token)
    signers.add(kid as string)
    issued.push({ token: tokens.access_token, expiresAt: clock().getTime() + tokens.expires_in * 1000 })
    if (minute < 14) assert.ok(kidsIn(before).includes(kid as string), 'signed with a key that caches may not know')

    const now = clock()
    for (const { fetchedAt, keys } of caches) {
      if (now.getTime() - fetchedAt.getTime() > API_CACHE * 1000) continue
      for (const { token: alive, expiresAt } of issued) {
        if (expiresAt <= now.getTime()) continue
        await jwtVerify(alive, createLocalJWKSet(keys), { currentDate: now, issuer: first.url, audience: 'notes' })
      }
    }
    clock.advance(60)
    await everyPortalFollows()
  }

  assert.equal(signers.size, 2)
  const afterwards = await publishedKeys()
  assert.equal(afterwards.keys.length, 2)
  for (const kid of kidsIn(before)) assert.equal(kidsIn(afterwards).includes(kid), false)
})

test('after a rotation ID tokens are signed with the new keys too, of either kind', async () => {
  await portals[0].app.services.keys.rotate()
  await everyPortalFollows()
  clock.advance(901)
  await everyPortalFollows()
  const { keys } = await publishedKeys()
  for (const [client, alg] of [
    [notes, 'RS256'],
    [legacy, 'ES256'],
  ] as const) {
    await browser.signIn(ada)
    const { id_token: idToken } = await client.connect(browser)
    const header = decodeProtectedHeader(idToken)
    assert.equal(header.alg, alg)
    assert.equal(header.kid, portals[0].app.services.keys.signer(alg).kid)
    assert.ok(keys.some(({ kid }) => kid === header.kid))
  }
})

test('the portal that has not followed yet still knows a token the other has signed', async () => {
  await portals[0].app.services.keys.rotate()
  await everyPortalFollows()
  clock.advance(901)
  await portals[0].app.protocol.followKeys()
  const { access_token: token } = await notes.connect(browser)
  assert.equal(await findApplicationToken(portals[1].app.services, token), null)
  // As if it had the same address: two portals on one machine are two issuers.
  const follower = { ...portals[1].app.services, publicUrl: portals[0].url }
  assert.notEqual(await findApplicationToken(follower, token), null)
})

test('an app signs a user out with an ID token of a removed key, and with nothing that looks like one', async () => {
  const [{ app }, other] = portals
  const hints = [(await notes.connect(browser)).id_token, (await legacy.connect(browser)).id_token]
  await app.services.keys.rotate()
  clock.advance(2 * 3600)
  await everyPortalFollows()
  await everyPortalFollows()
  const published = kidsIn(await publishedKeys())
  await browser.signIn(ada)
  const again = await openPortal()
  for (const hint of hints) {
    const [header, payload, signature] = hint.split('.') as [string, string, string]
    assert.equal(published.includes(decodeProtectedHeader(hint).kid as string), false)
    for (const { app: portal } of [portals[0], other, again])
      assert.ok(portal.services.keys.remembered().some(({ kid }) => kid === decodeProtectedHeader(hint).kid))

    const logout = async (shown: string) =>
      browser.get(`/oauth/logout?${new URLSearchParams({ id_token_hint: shown })}`)
    assert.match(await (await logout(hint)).text(), /data-auto-submit/)
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object
    const altered = Buffer.from(JSON.stringify({ ...claims, sub: 'x' })).toString('base64url')
    const foreign = Buffer.from(JSON.stringify({ alg: 'ES256', kid: 'nobody' })).toString('base64url')
    const confused = Buffer.from(JSON.stringify({ ...decodeProtectedHeader(hint), alg: 'none' })).toString('base64url')
    for (const wrong of [
      `${header}.${altered}.${signature}`,
      `${foreign}.${payload}.${signature}`,
      `${confused}.${payload}.`,
      `${hint}=`,
    ]) {
      const response = await logout(wrong)
      assert.equal(response.status, 400, wrong)
      await response.text()
    }
  }
  await again.close()
})

test('what a revoked key has signed is refused everywhere, once a portal has read the keys again', async () => {
  await browser.signIn(ada)
  const tokens = await notes.connect(browser)
  const { kid } = decodeProtectedHeader(tokens.access_token)
  const [{ app }] = portals
  assert.equal((await notes.userinfo(tokens.access_token)).status, 200)
  const feed = async () => decodeJwt(await (await fetch(`${portals[0].url}/oauth/revocations`)).text())
  // Another process revokes it, and that of the ID token, if it is another one.
  for (const each of new Set([kid, decodeProtectedHeader(tokens.id_token).kid]))
    await portals[1].app.services.keys.revoke(each as string, { name: 'root', id: null, address: null })
  await app.protocol.followKeys()

  assert.equal(kidsIn(await publishedKeys()).includes(kid as string), false)
  assert.equal((await notes.userinfo(tokens.access_token)).status, 401)
  assert.deepEqual(await notes.introspect(tokens.access_token), { active: false })
  const hint = new URLSearchParams({ id_token_hint: tokens.id_token })
  assert.equal((await browser.get(`/oauth/logout?${hint}`)).status, 400)
  assert.ok(((await feed())['revoked_keys'] as string[]).includes(kid as string))

  const next = await tokensIn(await notes.refresh(tokens.refresh_token))
  assert.notEqual(decodeProtectedHeader(next.access_token).kid, kid)
  assert.equal((await notes.userinfo(next.access_token)).status, 200)
  const again = await notes.connect(browser)
  assert.notEqual(decodeProtectedHeader(again.id_token).kid, decodeProtectedHeader(tokens.id_token).kid)
})

test('the private halves are not in the database', async () => {
  const { rows } = await portals[0].app.services.storage.pool.query('SELECT * FROM signing_keys')
  assert.ok(rows.length > 0)
  for (const row of rows) {
    assert.equal(/PRIVATE|"d"/.test(JSON.stringify(row)), false)
  }
})

test('a client that has the published keys is sent them again once there are others', async () => {
  const [{ url, app }] = portals
  const ask = (tag: string) => fetch(`${url}/oauth/jwks`, { headers: { 'if-none-match': tag } })
  const tag = (await fetch(`${url}/oauth/jwks`)).headers.get('etag') as string
  assert.equal((await ask(tag)).status, 304)
  const added = await app.services.keys.rotate()
  await everyPortalFollows()
  const answer = await ask(tag)
  assert.equal(answer.status, 200)
  assert.notEqual(answer.headers.get('etag'), tag)
  const kids = kidsIn((await answer.json()) as JSONWebKeySet)
  for (const { kid, alg } of added) assert.equal(kids.includes(kid), alg !== 'EdDSA')
})
