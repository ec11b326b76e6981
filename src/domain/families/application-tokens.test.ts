import assert from 'node:assert/strict'
import { generateKeyPairSync, sign } from 'node:crypto'
import { after, before, test } from 'node:test'
import { decodeProtectedHeader, jwtVerify } from 'jose'
import { notesApp } from '../../testing/portal/apps.ts'
import { connect, type Connection, home } from '../../testing/portal/connections.ts'
import { addIdentity } from '../../testing/portal/identities.ts'
import { ada } from '../../testing/portal/people.ts'
import { openTestPortal, type TestPortal } from '../../testing/portal/open-portal.ts'
import { publishedKeys } from '../../testing/portal/published-keys.ts'
import {
  type ApplicationTokenClaims,
  applicationTokenClaims,
  type ApplicationTokenSubject,
  findApplicationToken,
  findPerson,
  introspectFor,
  signApplicationToken,
} from './application-tokens.ts'
import { createApp } from '../apps/apps.ts'
import { endFamilies } from '../endings/endings.ts'
import { signWith } from '../keys/signing-keys.ts'

let portal: TestPortal
let adaId: string

before(async () => {
  portal = await openTestPortal()
  adaId = await addIdentity(portal, ada)
  await createApp(portal, 'notes', notesApp)
})
after(() => portal.close())

test('a token says who, for which app and API, how long, what, and by which family', async () => {
  const notes = await connect(portal, adaId, 'notes')
  const claims = claimsFor(notes, { scope: 'openid email', roles: ['editor', 'admin'] })
  const now = Math.floor(portal.clock().getTime() / 1000)
  assert.deepEqual(claims, {
    iss: portal.publicUrl,
    sub: adaId,
    aud: 'notes-api',
    client_id: 'notes',
    iat: now,
    exp: now + 300,
    jti: claims.jti,
    scope: 'openid email',
    roles: ['editor', 'admin'],
    claims_version: 0,
    fam: notes.familyId,
    auth_time: 1_763_726_400,
    acr: 'mfa',
    amr: ['pwd', 'otp', 'mfa'],
  })
})

test('no two tokens have one id', async () => {
  const notes = await connect(portal, adaId, 'notes')
  assert.notEqual(claimsFor(notes).jti, claimsFor(notes).jti)
})

test('an app may have tokens that live shorter', async () => {
  const claims = applicationTokenClaims(portal, subject(await connect(portal, adaId, 'notes')), 60)
  assert.equal(claims.exp - claims.iat, 60)
})

test('a token that is bound to a key names it', async () => {
  const notes = await connect(portal, adaId, 'notes', { jkt: 'thumbprint' })
  assert.deepEqual(claimsFor(notes, { jkt: 'thumbprint' }).cnf, { jkt: 'thumbprint' })
  assert.equal('cnf' in claimsFor(notes), false)
})

test('any API verifies a token offline with the published keys', async () => {
  const notes = await connect(portal, adaId, 'notes')
  const claims = claimsFor(notes)
  const { payload, protectedHeader } = await jwtVerify(
    signApplicationToken(portal, claims),
    await publishedKeys(portal),
    {
      issuer: portal.publicUrl,
      audience: 'notes-api',
      typ: 'at+jwt',
      algorithms: ['ES256'],
      currentDate: portal.clock(),
    },
  )
  assert.deepEqual(payload, claims)
  assert.deepEqual(protectedHeader, { alg: 'ES256', typ: 'at+jwt', kid: portal.keys.signer('ES256').kid })
})

test('the portal knows a token of its own, and its family', async () => {
  const notes = await connect(portal, adaId, 'notes')
  const claims = claimsFor(notes)
  const found = await findApplicationToken(portal, signApplicationToken(portal, claims))
  assert.deepEqual(found?.claims, claims)
  assert.equal(found.family.id, notes.familyId)
})

test('the portal knows a token signed by a key that has been replaced, while that is published', async () => {
  const notes = await connect(portal, adaId, 'notes')
  const long = applicationTokenClaims(portal, subject(notes), 3600)
  const token = signApplicationToken(portal, long)
  await portal.keys.rotate()
  portal.clock.advance(901)
  assert.notEqual(portal.keys.signer('ES256').kid, decodeProtectedHeader(token).kid)
  assert.deepEqual((await findApplicationToken(portal, token))?.claims, long)
})

test('a token ends with its last second', async () => {
  const token = signApplicationToken(portal, claimsFor(await connect(portal, adaId, 'notes')))
  portal.clock.advance(299)
  assert.notEqual(await findApplicationToken(portal, token), null)
  portal.clock.advance(1)
  assert.equal(await findApplicationToken(portal, token), null)
})

test('a token ends with its family', async () => {
  const notes = await connect(portal, adaId, 'notes')
  const token = signApplicationToken(portal, claimsFor(notes))
  await endFamilies(portal, { id: notes.familyId }, 'ended_by_person', home)
  assert.equal(await findApplicationToken(portal, token), null)
})

test('a token with one other character is refused', async () => {
  const token = signApplicationToken(portal, claimsFor(await connect(portal, adaId, 'notes')))
  for (let place = 0; place < token.length; place++) {
    for (const character of ['A', 'B', '_', '.', '=', ' ']) {
      if (character === token[place]) continue
      const forged = token.slice(0, place) + character + token.slice(place + 1)
      assert.equal(
        (await findApplicationToken(portal, forged)) === null,
        true,
        `${character} at ${place} of ${token.length}`,
      )
    }
  }
})

test('a token has one spelling', async () => {
  const token = signApplicationToken(portal, claimsFor(await connect(portal, adaId, 'notes')))
  for (const spelling of [`${token}=`, `${token}A`, ` ${token}`, `${token}\n`, `${token}.`, token.slice(0, -1)]) {
    assert.equal((await findApplicationToken(portal, spelling)) === null, true, JSON.stringify(spelling))
  }
})

test('what no key of ours has signed is no token', async () => {
  const claims = claimsFor(await connect(portal, adaId, 'notes'))
  const { kid } = portal.keys.signer('ES256')
  const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const key = (header: object) => {
    const input = `${encode(header)}.${encode(claims)}`
    const signature = sign('sha256', Buffer.from(input), { key: stranger.privateKey, dsaEncoding: 'ieee-p1363' })
    return `${input}.${signature.toString('base64url')}`
  }
  const jwk = stranger.publicKey.export({ format: 'jwk' })
  const forged = [
    key({ alg: 'ES256', typ: 'at+jwt', kid }),
    key({ alg: 'ES256', typ: 'at+jwt', kid, jwk }),
    key({ alg: 'ES256', typ: 'at+jwt', jwk }),
    key({ alg: 'ES256', typ: 'at+jwt', kid: 'unknown' }),
    `${encode({ alg: 'none', typ: 'at+jwt', kid })}.${encode(claims)}.`,
    `${encode({ alg: 'ES256', typ: 'at+jwt', kid })}.${encode(claims)}.`,
    `${encode({ alg: 'ES256', typ: 'at+jwt', kid })}.${encode(claims)}.${Buffer.alloc(64).toString('base64url')}`,
    '',
    '.',
    '..',
    '...',
    'garbage',
  ]
  for (const token of forged) assert.equal((await findApplicationToken(portal, token)) === null, true, token)
})

test('what a key of ours has signed as something else is no application token', async () => {
  const claims = claimsFor(await connect(portal, adaId, 'notes'))
  const key = portal.keys.signer('ES256')
  for (const header of [
    { alg: 'ES256', kid: key.kid },
    { alg: 'ES256', typ: 'JWT', kid: key.kid },
    { alg: 'ES256', typ: 'logout+jwt', kid: key.kid },
    { alg: 'ES256', typ: 'at+jwt', kid: key.kid, crit: ['exp'] },
  ]) {
    const input = `${encode(header)}.${encode(claims)}`
    const token = `${input}.${signWith(key, input).toString('base64url')}`
    assert.equal((await findApplicationToken(portal, token)) === null, true, JSON.stringify(header))
  }
})

function subject({ clientId, familyId }: Connection): ApplicationTokenSubject {
  const signIn = { authTime: 1_763_726_400, acr: 'mfa', amr: ['pwd', 'otp', 'mfa'] }
  return {
    identityId: adaId,
    clientId,
    familyId,
    audience: 'notes-api',
    scope: 'openid',
    roles: [],
    own: { audience: 'notes-api', appRoles: null, groups: null, wantedClaims: null },
    sectorUri: null,
    claimsVersion: 0,
    ...signIn,
    jkt: null,
  }
}

function claimsFor(connection: Connection, rest: Partial<ApplicationTokenSubject> = {}): ApplicationTokenClaims {
  return applicationTokenClaims(portal, { ...subject(connection), ...rest }, null)
}

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url')
}

test('a token whose key is withdrawn is refused at once, though its signature was verified before', async () => {
  const token = signApplicationToken(portal, claimsFor(await connect(portal, adaId, 'notes')))
  for (let turn = 0; turn < 2; turn++) assert.notEqual(await findApplicationToken(portal, token), null)
  const { kid } = decodeProtectedHeader(token)
  await portal.keys.rotate()
  await portal.storage.pool.query('DELETE FROM signing_keys WHERE kid = $1', [kid])
  await portal.keys.reload()
  assert.equal(await findApplicationToken(portal, token), null)
  assert.equal(
    await introspectFor(portal, token, { clientId: 'notes', proof: { secretHash: null }, isApi: false }),
    null,
  )
  assert.equal(await findPerson(portal, token), null)
})

test('a token that was verified before is refused once its time is over, or its family has ended', async () => {
  const notes = await connect(portal, adaId, 'notes')
  const token = signApplicationToken(portal, claimsFor(notes))
  const short = signApplicationToken(portal, {
    ...claimsFor(notes),
    exp: Math.floor(portal.clock().getTime() / 1000) + 1,
  })
  for (const each of [token, short]) assert.notEqual(await findPerson(portal, each), null)
  portal.clock.advance(1)
  assert.equal(await findPerson(portal, short), null)
  assert.notEqual(await findPerson(portal, token), null)
  await endFamilies(portal, { id: notes.familyId }, 'revoked_by_app', home)
  assert.equal(await findPerson(portal, token), null)
})
