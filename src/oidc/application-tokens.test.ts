import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { after, before, test } from 'node:test'
import {
  createRemoteJWKSet,
  exportJWK,
  exportSPKI,
  type generateKeyPair,
  importJWK,
  type JWK,
  jwtVerify,
  SignJWT,
} from 'jose'
import { notesApp, photosApp } from '../testing/portal/apps.ts'
import { tokensIn } from '../testing/portal/answers.ts'
import { Browser } from '../testing/browser/browser.ts'
import { claimsOf, Client } from '../testing/browser/client.ts'
import { createClock } from '../testing/portal/clock.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const CALLBACK = 'https://notes.example.test/callback'
const clock = createClock()

let server: TestServer
let browser: Browser
let adasId: string
let notes: Client
let photos: Client

before(async () => {
  server = await startTestServer({ clock })
  adasId = await server.addIdentity(ada, { roles: ['editor', 'owner'] })
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), CALLBACK)
  photos = new Client(server.url, 'photos', await server.addApp('photos', photosApp), 'https://photos.example.test/')
  browser = new Browser(server.url)
  await browser.signIn(ada)
})
after(() => server.close())

/** What an API does: it knows the issuer and its own audience, and fetches the published keys. */
async function verify(token: string, audience: string) {
  const keys = createRemoteJWKSet(new URL(`${server.url}/oauth/jwks`))
  return jwtVerify(token, keys, { issuer: server.url, audience, typ: 'at+jwt', algorithms: ['ES256'] })
}

function headerOf(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[0] as string, 'base64url').toString())
}

async function assertExpired(token: string): Promise<void> {
  const response = await notes.userinfo(token)
  assert.equal(response.status, 401)
  assert.match(response.headers.get('www-authenticate') ?? '', /^Bearer .*error="invalid_token"/)
  assert.equal((await response.text()).includes(token), false)
  assert.deepEqual(await notes.introspect(token), { active: false, reason: 'expired' })
}

test('an API verifies application tokens offline, from a code and from a refresh, with the published keys alone', async () => {
  const first = await notes.connect(browser)
  const second = await tokensIn(await notes.refresh(first.refresh_token))
  for (const token of [first.access_token, second.access_token]) {
    const { payload, protectedHeader } = await verify(token, 'notes')
    assert.deepEqual(Object.keys(protectedHeader).toSorted(), ['alg', 'kid', 'typ'])
    assert.equal(protectedHeader.alg, 'ES256')
    const { iat, exp, jti, fam, auth_time: authTime, ...rest } = payload
    assert.deepEqual(rest, {
      iss: server.url,
      sub: adasId,
      aud: 'notes',
      client_id: 'notes',
      scope: 'openid profile email',
      roles: ['editor', 'owner'],
      claims_version: 0,
      acr: 'aal1',
      amr: ['pwd'],
    })
    assert.ok((authTime as number) <= (iat as number))
    assert.equal((exp as number) - (iat as number), 300)
    assert.match(jti as string, /^[\w-]{20,}$/)
    assert.match(fam as string, /^[0-9a-f-]{36}$/)
  }
})

test('an application token is good for one audience', async () => {
  const { access_token: token } = await photos.connect(browser)
  await verify(token, 'https://photos.example.test/api')
  await assert.rejects(verify(token, 'notes'), { code: 'ERR_JWT_CLAIM_VALIDATION_FAILED' })
})

test('every application token has an id of its own', async () => {
  const { access_token: first, refresh_token: refreshToken } = await notes.connect(browser)
  const again = await Promise.all(Array.from({ length: 5 }, async () => tokensIn(await notes.refresh(refreshToken))))
  const ids = [first, ...again.map((tokens) => tokens.access_token)].map((token) => claimsOf(token)['jti'])
  assert.equal(new Set(ids).size, 6)
})

test('roles are what they are at the moment of the refresh', async () => {
  const { refresh_token: refreshToken } = await notes.connect(browser)
  await server.services.storage.pool.query('UPDATE identities SET roles = $1 WHERE id = $2', [['reader'], adasId])
  const { access_token: token } = await tokensIn(await notes.refresh(refreshToken))
  assert.deepEqual(claimsOf(token)['roles'], ['reader'])
})

test('an application token expires at the portal too', async () => {
  const { access_token: token } = await notes.connect(browser)
  assert.equal((await notes.userinfo(token)).status, 200)
  clock.advance(301)
  await assertExpired(token)
})

test('an ID token and a refresh token are no application tokens', async () => {
  const tokens = await notes.connect(browser)
  for (const token of [tokens.id_token, tokens.refresh_token]) {
    assert.equal((await notes.userinfo(token)).status, 401)
  }
  assert.deepEqual(await notes.introspect(tokens.id_token), { active: false })
})

test('a forged application token opens nothing', async (t) => {
  const { access_token: token } = await notes.connect(browser)
  const [header, payload, signature] = token.split('.') as [string, string, string]
  const claims = claimsOf(token)
  const { kid } = headerOf(token) as { kid: string }
  const { keys } = (await (await fetch(`${server.url}/oauth/jwks`)).json()) as { keys: JWK[] }
  const published = keys.find((key) => key.kid === kid) as JWK
  const pem = await exportSPKI(
    (await importJWK(published, 'ES256')) as Awaited<ReturnType<typeof generateKeyPair>>['publicKey'],
  )
  const own = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwk = await exportJWK(own.publicKey)

  const listener = createServer().listen(0, '127.0.0.1')
  t.after(() => listener.close())
  await once(listener, 'listening')
  let visits = 0
  listener.on('connection', (socket) => {
    visits++
    socket.destroy()
  })
  const url = `http://127.0.0.1:${(listener.address() as { port: number }).port}/keys`

  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const sign = (more: object, key: Parameters<SignJWT['sign']>[0] = own.privateKey, alg = 'ES256') =>
    new SignJWT(claims).setProtectedHeader({ alg, typ: 'at+jwt', ...more }).sign(key)

  const forged: Record<string, string> = {
    'no algorithm': `${encode({ alg: 'none', typ: 'at+jwt' })}.${payload}.`,
    'no algorithm, with our key id': `${encode({ alg: 'none', typ: 'at+jwt', kid })}.${payload}.`,
    'no signature': `${header}.${payload}.`,
    'another signature': `${header}.${payload}.${signature.split('').toReversed().join('')}`,
    'a signature of zeros': `${header}.${payload}.${Buffer.alloc(64).toString('base64url')}`,
    'other claims': `${header}.${encode({ ...claims, sub: 'somebody-else' })}.${signature}`,
    'a later end': `${header}.${encode({ ...claims, exp: 9_999_999_999 })}.${signature}`,
    'the public key as a secret': await sign({ kid }, Buffer.from(pem), 'HS256'),
    'the published key as a secret': await sign({ kid }, Buffer.from(JSON.stringify(published)), 'HS256'),
    'a key of its own under our id': await sign({ kid }),
    'an unknown key': await sign({ kid: 'nobody' }),
    'a path for a key id': await sign({ kid: '../../dev/null' }),
    'a key in its header': await sign({ jwk }),
    'a key in its header under our id': await sign({ kid, jwk }),
    'an address of keys': await sign({ kid, jku: url, x5u: url }),
    'something critical': await sign({ kid, crit: ['exp'], exp: 1 }).catch(
      () => `${encode({ alg: 'ES256', kid, crit: ['x'] })}.${payload}.${signature}`,
    ),
    'another type': `${encode({ alg: 'ES256', typ: 'JWT', kid })}.${payload}.${signature}`,
    'a part too many': `${token}.${signature}`,
    'a part too few': `${header}.${payload}`,
    'no JSON': `${header}.${Buffer.from('nothing').toString('base64url')}.${signature}`,
  }
  for (const [what, forgery] of Object.entries(forged)) {
    const response = await notes.userinfo(forgery)
    assert.equal(response.status, 401, what)
    assert.match(response.headers.get('www-authenticate') ?? '', /error="invalid_token"/, what)
    assert.deepEqual(await notes.introspect(forgery), { active: false }, what)
  }
  assert.equal(visits, 0)
  assert.equal((await notes.userinfo(token)).status, 200)
})
