import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import { notesApp, photosApp } from '../testing/portal/apps.ts'
import { problemIn, tokensIn } from '../testing/portal/answers.ts'
import { Browser } from '../testing/browser/browser.ts'
import { claimsOf, Client, type Tokens } from '../testing/browser/client.ts'
import { createClock } from '../testing/portal/clock.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

interface Key {
  privateKey: Awaited<ReturnType<typeof generateKeyPair>>['privateKey']
  jwk: JWK
  thumbprint: string
}

async function makeKey(): Promise<Key> {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  const jwk = await exportJWK(publicKey)
  return { privateKey, jwk, thumbprint: await calculateJwkThumbprint(jwk) }
}

for (const kind of ['postgres', 'postgres+redis'] as const) {
  let server: TestServer
  let browser: Browser
  let notes: Client
  let photos: Client
  let key: Key
  let stolen: Key

  before(async () => {
    server = await startTestServer({ kind })
    await server.addIdentity(ada)
    const secret = await server.addApp('notes', notesApp)
    notes = new Client(server.url, 'notes', secret, 'https://notes.example.test/callback')
    photos = new Client(server.url, 'photos', await server.addApp('photos', photosApp), 'https://photos.example.test/')
    browser = new Browser(server.url)
    await browser.signIn(ada)
    key = await makeKey()
    stolen = await makeKey()
  })
  after(() => server.close())

  /** A proof that is right in everything but what `change` names. */
  async function proof(
    change: { claims?: object; header?: object; key?: Key; path?: string; method?: string; token?: string } = {},
  ): Promise<string> {
    const { claims, header, key: own = key, path = '/oauth/token', method = 'POST', token } = change
    const ath = token === undefined ? {} : { ath: createHash('sha256').update(token).digest('base64url') }
    const payload = { jti: randomUUID(), htm: method, htu: server.url + path, iat: now(), ...ath, ...claims }
    return new SignJWT(payload)
      .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: own.jwk, ...header })
      .sign(own.privateKey)
  }

  function now(): number {
    return Math.floor(Date.now() / 1000)
  }

  async function connect(client: Client): Promise<Tokens> {
    const tokens = await tokensIn(await client.exchange(await client.code(browser), {}, { dpop: await proof() }))
    assert.equal(tokens.token_type, 'DPoP')
    return tokens
  }

  async function userinfo(token: string, dpop: string | null, scheme = 'DPoP'): Promise<number> {
    const response = await fetch(`${server.url}/oauth/userinfo`, {
      headers: { authorization: `${scheme} ${token}`, ...(dpop === null ? {} : { dpop }) },
    })
    await response.text()
    return response.status
  }

  const atUserinfo = (token: string, change: Parameters<typeof proof>[0] = {}) =>
    proof({ path: '/oauth/userinfo', method: 'GET', token, ...change })

  test(`a code that is exchanged with a proof gives an application token bound to its key (${kind})`, async () => {
    for (const client of [notes, photos]) {
      const { access_token: token } = await connect(client)
      assert.deepEqual(claimsOf(token)['cnf'], { jkt: key.thumbprint })
      assert.equal(await userinfo(token, await atUserinfo(token)), 200)
      const told = await client.introspect(token)
      assert.deepEqual([told['active'], told['token_type']], [true, 'DPoP'])
    }
  })

  test(`a refresh with a proof of the same key goes on, bound to it (${kind})`, async () => {
    for (const client of [notes, photos]) {
      let tokens = await connect(client)
      for (let round = 0; round < 3; round++) {
        tokens = await tokensIn(await client.refresh(tokens.refresh_token, {}, { dpop: await proof() }))
        assert.equal(tokens.token_type, 'DPoP')
        assert.deepEqual(claimsOf(tokens.access_token)['cnf'], { jkt: key.thumbprint })
      }
    }
  })

  test(`the family of a public app stays bound: without a proof, or with another key, it refreshes nothing and burns nothing (${kind})`, async () => {
    const tokens = await connect(photos)
    for (const headers of [{}, { dpop: await proof({ key: stolen }) }] as Record<string, string>[]) {
      const problem = await problemIn(await photos.refresh(tokens.refresh_token, {}, headers))
      assert.equal(problem.status, 400)
      assert.match(problem.error, /^invalid_(grant|dpop_proof)$/)
    }
    await tokensIn(await photos.refresh(tokens.refresh_token, {}, { dpop: await proof() }))
  })

  test(`in the grace window too a bound family wants its key (${kind})`, async () => {
    const tokens = await connect(photos)
    await tokensIn(await photos.refresh(tokens.refresh_token, {}, { dpop: await proof() }))
    assert.equal((await photos.refresh(tokens.refresh_token)).status, 400)
    assert.equal((await photos.refresh(tokens.refresh_token, {}, { dpop: await proof({ key: stolen }) })).status, 400)
    await tokensIn(await photos.refresh(tokens.refresh_token, {}, { dpop: await proof() }))
  })

  test(`a bound application token is refused without its proof, or with another's (${kind})`, async () => {
    const { access_token: token } = await connect(notes)
    const other = (await connect(notes)).access_token
    assert.equal(await userinfo(token, null, 'Bearer'), 401)
    assert.ok([400, 401].includes(await userinfo(token, null)))
    assert.ok([400, 401].includes(await userinfo(token, await atUserinfo(token), 'Bearer')))
    for (const wrong of [
      await atUserinfo(token, { key: stolen }),
      await atUserinfo(token, { method: 'POST' }),
      await atUserinfo(token, { path: '/oauth/token' }),
      await atUserinfo(other),
      await proof({ path: '/oauth/userinfo', method: 'GET' }),
      await atUserinfo(token, { claims: { iat: now() - 310 } }),
    ]) {
      assert.equal(await userinfo(token, wrong), 401)
    }
    assert.equal(await userinfo(token, await atUserinfo(token)), 200)
  })

  test(`a proof brings an unbound application token nothing (${kind})`, async () => {
    const { access_token: token } = await notes.connect(browser)
    assert.equal(await userinfo(token, await atUserinfo(token)), 401)
  })

  test(`a proof is good once: of ten uses at once one passes (${kind})`, async () => {
    const { access_token: token } = await connect(notes)
    const dpop = await atUserinfo(token)
    const statuses = await Promise.all(Array.from({ length: 10 }, () => userinfo(token, dpop)))
    assert.deepEqual(statuses.toSorted(), [200, ...Array<number>(9).fill(401)])
    assert.equal(await userinfo(token, dpop), 401)

    const { refresh_token: refreshToken } = await connect(photos)
    const again = await proof()
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => photos.refresh(refreshToken, {}, { dpop: again })),
    )
    assert.deepEqual(answers.map(({ status }) => status).toSorted(), [200, ...Array<number>(9).fill(400)])
  })

  const WRONG: Record<string, () => Promise<string>> = {
    'another method': () => proof({ method: 'GET' }),
    'another address': () => proof({ path: '/oauth/userinfo' }),
    'an address of another host': () => proof({ claims: { htu: 'https://evil.test/oauth/token' } }),
    'no address': () => proof({ claims: { htu: undefined } }),
    'no id': () => proof({ claims: { jti: undefined } }),
    'an id that is none': () => proof({ claims: { jti: 7 } }),
    'no time': () => proof({ claims: { iat: undefined } }),
    'a time more than five minutes ago': () => proof({ claims: { iat: now() - 310 } }),
    'a time more than five minutes ahead': () => proof({ claims: { iat: now() + 310 } }),
    'another type': () => proof({ header: { typ: 'JWT' } }),
    'another key in it than signed it': () => proof({ header: { jwk: stolen.jwk } }),
    'no key in it': () => proof({ header: { jwk: undefined } }),
    'a private key in it': async () => {
      const { privateKey } = await generateKeyPair('ES256', { extractable: true })
      const jwk = await exportJWK(privateKey)
      return proof({ key: { privateKey, jwk, thumbprint: '' } })
    },
    'a shared secret': async () =>
      new SignJWT({ jti: randomUUID(), htm: 'POST', htu: `${server.url}/oauth/token`, iat: now() })
        .setProtectedHeader({ alg: 'HS256', typ: 'dpop+jwt', jwk: { kty: 'oct', k: 'c2VjcmV0' } as JWK })
        .sign(Buffer.from('secret')),
    'nothing of a proof': async () => 'junk',
  }
  test(`a proof that is wrong in any way is refused, at the exchange and at the refresh, and burns no refresh token (${kind})`, async () => {
    const tokens = await connect(photos)
    const code = await photos.code(browser)
    for (const [what, make] of Object.entries(WRONG)) {
      for (const send of [
        async (dpop: string) => photos.exchange(code, {}, { dpop }),
        async (dpop: string) => photos.refresh(tokens.refresh_token, {}, { dpop }),
      ]) {
        const problem = await problemIn(await send(await make()))
        assert.deepEqual([problem.status, problem.error], [400, 'invalid_dpop_proof'], what)
      }
    }
    await tokensIn(await photos.exchange(code, {}, { dpop: await proof() }))
    await tokensIn(await photos.refresh(tokens.refresh_token, {}, { dpop: await proof() }))
  })

  test(`a code that was asked for with a key is exchanged with that key only (${kind})`, async () => {
    const code = await photos.code(browser, { dpop_jkt: key.thumbprint })
    assert.equal((await photos.exchange(code, {}, { dpop: await proof({ key: stolen }) })).status, 400)
    const another = await photos.code(browser, { dpop_jkt: key.thumbprint })
    assert.equal((await photos.exchange(another)).status, 400)
    const third = await photos.code(browser, { dpop_jkt: key.thumbprint })
    await tokensIn(await photos.exchange(third, {}, { dpop: await proof() }))
  })
}

test('a proof dated ahead is good once, for as long as it is good', async (t) => {
  const clock = createClock()
  const server = await startTestServer({ clock })
  t.after(() => server.close())
  await server.addIdentity(ada)
  const photos = new Client(
    server.url,
    'photos',
    await server.addApp('photos', photosApp),
    'https://photos.example.test/',
  )
  const browser = new Browser(server.url)
  await browser.signIn(ada)
  const { refresh_token: token } = await photos.connect(browser)
  const { privateKey, jwk } = await makeKey()
  const iat = Math.floor(Date.now() / 1000) + 290
  const dpop = await new SignJWT({ jti: randomUUID(), htm: 'POST', htu: `${server.url}/oauth/token`, iat })
    .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk })
    .sign(privateKey)

  const { refresh_token: next } = await tokensIn(await photos.refresh(token, {}, { dpop }))
  clock.advance(400)
  assert.equal((await problemIn(await photos.refresh(next, {}, { dpop }))).error, 'invalid_dpop_proof')
})
