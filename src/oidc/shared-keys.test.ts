import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { after, before, test } from 'node:test'
import { decodeProtectedHeader, exportJWK, exportSPKI, jwtVerify } from 'jose'
import { createApi } from '../domain/apps/apis.ts'
import { type AppRow, changeApp, createApp, findApp, rotateTokenKey } from '../domain/apps/apps.ts'
import { makeTokenKeyId, tokenKeyOf } from '../domain/keys/shared-keys.ts'
import { signLogoutToken } from '../backchannel/logout-tokens.ts'
import { answerIn, problemIn } from '../testing/portal/answers.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { claimsOf, Client, type Tokens } from '../testing/browser/client.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const CALLBACK = 'https://notes.example.test/callback'
const SHARED = { idTokenAlg: 'HS256', applicationTokenAlg: 'HS256' }

let server: TestServer
let browser: Browser
let till: Client
let other: Client
let modern: Client
let tokens: Tokens

before(async () => {
  server = await startTestServer()
  await server.addIdentity(ada)
  const add = async (id: string, change: object) => {
    const { audience: _audience, ...settings } = notesApp
    const { secret } = await createApp(server.services, id, { ...settings, name: id, ...change })
    return new Client(server.url, id, secret, CALLBACK)
  }
  till = await add('till', SHARED)
  other = await add('other', SHARED)
  modern = await add('modern', {})
  browser = new Browser(server.url)
  await browser.signIn(ada)
  tokens = await till.connect(browser)
})
after(() => server.close())

const rowOf = async (id: string) => (await findApp(server.services, id)) as AppRow
const keyOf = async (id: string) => tokenKeyOf(server.services, await rowOf(id)) as string

/** What the library of an app does with the text of its key. */
async function verify(token: string, key: string, audience: string) {
  return jwtVerify(token, new TextEncoder().encode(key), { issuer: server.url, audience, algorithms: ['HS256'] })
}

function sign(header: object, claims: object, key: string | Buffer): string {
  const input = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  return `${input}.${createHmac('sha256', key).update(input).digest('base64url')}`
}

async function logout(hint: string): Promise<Response> {
  return browser.get(`/oauth/logout?${new URLSearchParams({ id_token_hint: hint })}`)
}

test('an app with a shared key gets all its own tokens with HS256, from the fast paths and from the library', async () => {
  const key = await keyOf('till')
  assert.ok(Buffer.from(key, 'base64url').length * 8 >= 256)
  const refreshed = (await (await till.refresh(tokens.refresh_token)).json()) as Tokens
  const asked = (await (await till.refresh(refreshed.refresh_token, { scope: 'openid email' })).json()) as Tokens
  const named = await till.connect(browser, { claims: JSON.stringify({ id_token: { email: null } }) })
  for (const each of [tokens, refreshed, asked, named]) {
    const { payload, protectedHeader } = await verify(each.access_token, key, `${server.url}/apps/till`)
    assert.equal(payload['client_id'], 'till')
    assert.deepEqual(protectedHeader, { alg: 'HS256', typ: 'at+jwt', kid: (await rowOf('till')).tokenKeyId })
    assert.equal((await till.introspect(each.access_token))['active'], true)
    assert.equal((await till.userinfo(each.access_token)).status, 200)
  }
  for (const each of [tokens, asked, named])
    assert.equal((await verify(each.id_token, key, 'till')).payload.aud, 'till')
  assert.equal(claimsOf(named.id_token)['email'], ada.email)
  const ended = { id: 'one', identityId: claimsOf(tokens.id_token)['sub'] as string, familyId: 'f', sid: null }
  await verify(await signLogoutToken(server.services, ended, await rowOf('till')), key, 'till')
  assert.match(await (await logout(named.id_token)).text(), /data-auto-submit/)
})

test('the metadata names HS256 for ID tokens, the published keys have no secret one, and the doctor names the apps', async () => {
  const metadata = (await (await fetch(`${server.url}/.well-known/openid-configuration`)).json()) as {
    id_token_signing_alg_values_supported: string[]
  }
  assert.ok(metadata.id_token_signing_alg_values_supported.includes('HS256'))
  const jwks = await (await fetch(`${server.url}/oauth/jwks`)).text()
  assert.doesNotMatch(jwks, /"oct"|"k":/)
  const { hints } = await server.services.examine('quick')
  const found = hints.filter(({ code }) => code === 'shared_token_key')
  assert.deepEqual(
    found.map(({ change }) => change.split(' ')[3]),
    ['other', 'till'],
  )
})

test('tokens for an API shared by others stay ES256, and a token with HS256 is exchanged for none', async () => {
  const identifier = 'https://ledger.example.test'
  const { name, ...rest } = { name: 'Ledger', scopes: ['ledger:read'], tokenTtl: null, signingAlg: 'ES256' }
  await createApi(server.services, identifier, {
    name,
    ...rest,
    authMethod: 'client_secret_basic',
    jwks: null,
    jwksUri: null,
  })
  const grant = [{ identifier, scopes: ['ledger:read'] }]
  await changeApp(server.services, await rowOf('till'), {}, undefined, { request: grant, exchange: grant })
  const scope = 'openid ledger:read'
  const both = await till.connect(browser, { scope, resource: identifier })
  assert.equal(decodeProtectedHeader(both.access_token).alg, 'ES256')
  const refreshed = (await (await till.refresh(both.refresh_token, { resource: identifier })).json()) as Tokens
  assert.equal(decodeProtectedHeader(refreshed.access_token).alg, 'ES256')
  const exchange = await till.send('/oauth/token', {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: tokens.access_token,
    subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    resource: identifier,
  })
  assert.equal(exchange.status, 400)
})

test('nothing but the key of the token’s own app opens anything: algorithm confusion, key reuse, key ids', async () => {
  const row = await rowOf('till')
  const key = await keyOf('till')
  const { kid: es256, publicKey } = server.services.keys.signer('ES256')
  const right = { alg: 'HS256', typ: 'at+jwt', kid: row.tokenKeyId }
  const claims = claimsOf(tokens.access_token)
  const jwk = await exportJWK(publicKey)
  const spki = await exportSPKI(publicKey)
  const foreign = await modern.connect(browser)
  const genuine = foreign.access_token.split('.')
  const signature = tokens.access_token.split('.')[2] as string
  const attacks: Record<string, string> = {
    'the public key as PEM': sign(right, claims, spki),
    'the public key as PEM, its kid': sign({ ...right, kid: es256 }, claims, spki),
    'the public key as DER': sign(right, claims, publicKey.export({ type: 'spki', format: 'der' })),
    'the public key as JWK': sign(right, claims, JSON.stringify(jwk)),
    'an ES256 token that says HS256': `${Buffer.from(JSON.stringify({ ...right, kid: es256 })).toString('base64url')}.${genuine[1]}.${genuine[2]}`,
    'a token of an ES256 app': sign(right, claimsOf(foreign.access_token), key),
    'a family of another app': sign(right, { ...claims, fam: claimsOf(foreign.access_token)['fam'] }, key),
    'the key as bytes of its text decoded': sign(right, claims, Buffer.from(key, 'base64url')),
    'an empty key': sign(right, claims, ''),
    'the client secret': sign(right, claims, till.secret as string),
    'the hash of the client secret': sign(right, claims, row.secretHash as string),
    'the key of another app': sign(right, claims, await keyOf('other')),
    'the key and kid of another app': sign(
      { ...right, kid: (await rowOf('other')).tokenKeyId },
      claims,
      await keyOf('other'),
    ),
    'another key of the app': sign(
      right,
      claims,
      tokenKeyOf(server.services, { clientId: 'till', tokenKeyId: makeTokenKeyId() }) as string,
    ),
    'no algorithm': `${Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url')}.${tokens.access_token.split('.')[1]}.`,
    'no algorithm, signed': sign({ ...right, alg: 'none' }, claims, key),
    'no signature': tokens.access_token.slice(0, -signature.length),
    HS384: sign({ ...right, alg: 'HS384' }, claims, key),
    'no kid': sign({ alg: 'HS256', typ: 'at+jwt' }, claims, key),
    'a kid that is a path': sign({ ...right, kid: '../../dev/null' }, claims, ''),
    'a kid that is SQL': sign({ ...right, kid: "' OR 1=1" }, claims, key),
    'a key of its own in the header': sign({ ...right, jwk: { kty: 'oct', k: 'AAAA' } }, claims, Buffer.alloc(3)),
    jku: sign({ ...right, jku: 'https://evil.test/' }, claims, key),
    crit: sign({ ...right, crit: ['exp'] }, claims, key),
    'an ID token': tokens.id_token,
    'an ID token as an application token': sign(right, claimsOf(tokens.id_token), key),
    'another issuer': sign(right, { ...claims, iss: 'https://evil.test' }, key),
    'another audience': sign(right, { ...claims, aud: `${server.url}/apps/modern` }, key),
    'another app': sign(right, { ...claims, client_id: 'modern' }, key),
    'an app that there is not': sign(right, { ...claims, client_id: 'nobody\u0000' }, key),
    'an app that is a list': sign(right, { ...claims, client_id: ['till'] }, key),
    'a family that is no id': sign(right, { ...claims, fam: "x'" }, key),
    'no family': sign(right, { ...claims, fam: undefined }, key),
    'an expiry in words': sign(right, { ...claims, exp: 'tomorrow' }, key),
    expired: sign(right, { ...claims, exp: 1 }, key),
    'an actor': sign(right, { ...claims, act: { sub: 'modern' } }, key),
    'claims that are no object': sign(right, ['till'], key),
  }
  for (const [what, token] of Object.entries(attacks)) {
    assert.equal((await till.userinfo(token)).status, 401, what)
    for (const client of [till, other, modern]) {
      const answer = await client.introspect(token)
      assert.equal(answer['active'], false, `${what}, to ${client.id}`)
    }
  }
  assert.equal((await till.userinfo(sign(right, claims, key))).status, 200, 'the attacks differ from this in one thing')
  for (const client of [other, modern])
    assert.deepEqual(await client.introspect(tokens.access_token), { active: false })
  for (const token of [tokens.access_token, tokens.id_token])
    assert.equal(
      (await fetch(`${server.url}/api/admin/v1/apps`, { headers: { authorization: `Bearer ${token}` } })).status,
      401,
    )
})

test('an ID token is a hint only with the key of its own app', async () => {
  const hintWith = async (key: string | Buffer, change: object = {}, header: object = {}) =>
    sign(
      { alg: 'HS256', kid: (await rowOf('till')).tokenKeyId, ...header },
      { ...claimsOf(tokens.id_token), ...change },
      key,
    )
  const key = await keyOf('till')
  const { publicKey } = server.services.keys.signer('RS256')
  const wrong = {
    'the key of another app': await hintWith(await keyOf('other')),
    'for another app with this key': await hintWith(key, { aud: 'other' }),
    'for an ES256 app with this key': await hintWith(key, { aud: 'modern' }),
    'the public key': await hintWith(await exportSPKI(publicKey)),
    'the client secret': await hintWith(till.secret as string),
    'an application token': tokens.access_token,
    'a kind': await hintWith(key, {}, { typ: 'logout+jwt' }),
  }
  for (const [what, hint] of Object.entries(wrong)) {
    assert.equal((await logout(hint)).status, 400, what)
    const answer = answerIn(await browser.get(till.authorizeUrl({ prompt: 'none', id_token_hint: hint })), CALLBACK)
    assert.equal(answer['error'], 'invalid_request', what)
  }
  const answer = answerIn(
    await browser.get(till.authorizeUrl({ prompt: 'none', id_token_hint: await hintWith(key) })),
    CALLBACK,
  )
  assert.ok('code' in answer)
})

test('an audience of an app with a shared key is of no other app and no API', async () => {
  const audience = `${server.url}/apps/till`
  await assert.rejects(createApp(server.services, 'twin', { ...notesApp, audience }), /signed with HS256/)
  await assert.rejects(changeApp(server.services, await rowOf('modern'), { audience }), /signed with HS256/)
  await changeApp(server.services, await rowOf('modern'), { audience: 'https://shop.example.test' })
  await assert.rejects(
    createApp(server.services, 'twin', { ...notesApp, ...SHARED, audience: 'https://shop.example.test' }),
    /are for the app alone/,
  )
})

test('a rotated key, and an app that has given it up, end the tokens of the key at once', async () => {
  const before = await other.connect(browser)
  const key = await rotateTokenKey(server.services, await rowOf('other'))
  assert.equal((await other.userinfo(before.access_token)).status, 401)
  const after = (await (await other.refresh(before.refresh_token)).json()) as Tokens
  await verify(after.access_token, key, `${server.url}/apps/other`)
  // Another app changes nothing with it; its own app ends the family.
  await modern.revoke(after.access_token)
  assert.equal((await other.userinfo(after.access_token)).status, 200)
  assert.equal((await other.revoke(after.access_token)).status, 200)
  assert.deepEqual(await other.introspect(after.access_token), { active: false, reason: 'family_ended' })
  const last = await other.connect(browser)

  await changeApp(server.services, await rowOf('other'), { idTokenAlg: 'RS256', applicationTokenAlg: 'ES256' })
  assert.equal((await rowOf('other')).tokenKeyId, null)
  assert.equal((await other.userinfo(last.access_token)).status, 401)
  await assert.rejects(rotateTokenKey(server.services, await rowOf('other')), /no key/)
  assert.equal((await problemIn(await other.refresh('nothing'))).error, 'invalid_grant')
})
