import assert from 'node:assert/strict'
import { englishTexts } from '../../i18n/texts.ts'
import { randomUUID } from 'node:crypto'
import { after, before, beforeEach, test } from 'node:test'
import { openServices } from '../../main/services.ts'
import { createLogger } from '../../logger.ts'
import { createClock, type TestClock } from '../../testing/portal/clock.ts'
import { home } from '../../testing/portal/connections.ts'
import { createDatabase, type TestDatabase } from '../../testing/portal/databases.ts'
import { newcomer } from '../../testing/portal/newcomers.ts'
import { ada, grace } from '../../testing/portal/people.ts'
import { TEST_SECRET, testConfig } from '../../testing/portal/open-portal.ts'
import { codeOf } from '../../testing/portal/totp.ts'
import { listActivityEntries } from '../activity.ts'
import type { SignedInRow } from './identity-sessions.ts'
import type { ClientInfo } from '../client-info.ts'
import type { Services } from '../services.ts'
import { deriveSecrets } from '../keys/secrets.ts'
import {
  addTotpKey,
  factorNameProblem,
  hasSecondFactor,
  listSecondFactors,
  proveSecondStep,
  removeSecondFactor,
  renameSecondFactor,
  renewRecoveryCodes,
} from './second-factors.ts'
import { signIn } from './sign-in.ts'
import { beginTotpEnrolment } from './totp.ts'

const NEWER_SECRET = 'a newer root secret of 32 bytes or more'

let database: TestDatabase
let clock: TestClock
let services: Services
let elsewhere: Services
let signedIn: SignedInRow

before(async () => {
  database = await createDatabase()
  clock = createClock(new Date('2026-11-21T12:00:00Z'))
  services = await openPortal()
  elsewhere = await openPortal()
})
beforeEach(async () => {
  signedIn = await newcomer(services)
})
after(async () => {
  await services.storage.close()
  await elsewhere.storage.close()
  await database.drop()
})

async function openPortal(): Promise<Services> {
  return openServices(testConfig(database), createLogger('silent'), clock)
}

/** @returns the key as the page prints it, and the recovery codes that came with it */
async function addApp(name = 'Phone', seconds = 60): Promise<{ key: string; recoveryCodes: string[] | null }> {
  const { key } = await beginTotpEnrolment(services, signedIn)
  const added = await addTotpKey(services, signedIn, name, codeOf(key, clock()), home)
  assert.equal(added.kind, 'added')
  await noteSecondFactor()
  clock.advance(seconds)
  return { key, recoveryCodes: (added as { recoveryCodes: string[] | null }).recoveryCodes }
}

/** The sign-in of the person has two factors from now on, as after adding one on its page. */
async function noteSecondFactor(): Promise<void> {
  const { pool } = services.storage
  await pool.query(`UPDATE identity_sessions SET amr = '{pwd,otp,mfa}' WHERE id = $1`, [signedIn.id])
}

/** A typed code as second step. */
async function proveCode(
  at: Services,
  identityId: string,
  code: string,
  clientInfo: ClientInfo,
): Promise<string[] | null> {
  const outcome = await proveSecondStep(at, { identityId, answer: { code }, clientInfo, deviceHash: null })
  return outcome.kind === 'proved' ? outcome.proof : null
}

async function sentences(): Promise<string[]> {
  return (await listActivityEntries(services, signedIn.identityId, 50, null)).map(({ sentence }) =>
    englishTexts().say(sentence),
  )
}

test('the key of an app is 160 bits in groups of four, and its QR code names the organisation and the person', async () => {
  const { key, uri } = await beginTotpEnrolment(services, signedIn)
  assert.match(key, /^([A-Z2-7]{4} ){7}[A-Z2-7]{4}$/)
  const url = new URL(uri)
  assert.equal(url.protocol, 'otpauth:')
  assert.equal(decodeURIComponent(url.pathname), `/Gatehouse:${signedIn.username}`)
  assert.equal(url.searchParams.get('secret'), key.replaceAll(' ', ''))
  assert.equal(url.searchParams.get('issuer'), 'Gatehouse')
  // A colon separates the two.
  const branded = { ...services, brand: { ...services.brand, name: 'Ada: Engines & Co' } }
  const other = new URL((await beginTotpEnrolment(branded, signedIn)).uri)
  assert.equal(decodeURIComponent(other.pathname), `/Ada Engines & Co:${signedIn.username}`)
  assert.equal(other.searchParams.get('issuer'), 'Ada Engines & Co')
})

test('nothing is stored and nothing is asked for until a code has proved the key', async () => {
  const { key } = await beginTotpEnrolment(services, signedIn)
  assert.deepEqual(await addTotpKey(services, signedIn, 'Phone', '000000', home), { kind: 'wrong-code' })
  assert.equal(await hasSecondFactor(services, signedIn.identityId), false)
  // A page that is read again shows the key that may be in the app already.
  assert.equal((await beginTotpEnrolment(elsewhere, signedIn)).key, key)
  assert.equal((await addTotpKey(elsewhere, signedIn, 'Phone', codeOf(key, clock()), home)).kind, 'added')
  assert.equal(await hasSecondFactor(services, signedIn.identityId), true)
})

test('the key of a sign-in is another once it is taken, and that of another sign-in is another, too', async () => {
  const first = await beginTotpEnrolment(services, signedIn)
  await addApp('Phone')
  const second = await beginTotpEnrolment(services, signedIn)
  await addApp('Tablet')
  const third = await beginTotpEnrolment(services, signedIn)
  const elsewhen = await beginTotpEnrolment(services, { ...signedIn, id: randomUUID() })
  assert.equal(new Set([first.key, second.key, third.key, elsewhen.key]).size, 4)
})

test('a key belongs to the sign-in it was shown to', async () => {
  const { key } = await beginTotpEnrolment(services, signedIn)
  const other = await newcomer(services)
  assert.deepEqual(await addTotpKey(services, other, 'Phone', codeOf(key, clock()), home), { kind: 'wrong-code' })
})

test('the same key proved twice at once is one app, with one set of recovery codes', async () => {
  const { key } = await beginTotpEnrolment(services, signedIn)
  const outcomes = await Promise.all(
    [services, elsewhere].map(async (each) => addTotpKey(each, signedIn, 'Phone', codeOf(key, clock()), home)),
  )
  const [first, second] = outcomes.map(({ kind }) => kind).toSorted()
  assert.equal(first, 'added')
  // Whoever comes so late that the key is taken already is asked for a code of the next one.
  assert.ok(second === 'lost' || second === 'wrong-code', second)
  const { factors, recoveryCodesLeft } = await listSecondFactors(services, signedIn.identityId)
  assert.equal(factors.length, 1)
  assert.equal(recoveryCodesLeft, 10)
})

test('the code that proved a key is used up by that', async () => {
  const { key } = await beginTotpEnrolment(services, signedIn)
  const code = codeOf(key, clock())
  await addTotpKey(services, signedIn, 'Phone', code, home)
  assert.equal(await proveCode(services, signedIn.identityId, code, home), null)
})

test('a password alone does not sign in a user with a second factor', async () => {
  const attempt = { login: signedIn.username, password: ada.password, clientInfo: home, deviceHash: null }
  assert.equal((await signIn(services, attempt)).kind, 'signed-in')
  await addApp()
  const outcome = await signIn(services, attempt)
  assert.equal(outcome.kind, 'second-factor')
  assert.deepEqual(outcome.kind === 'second-factor' && outcome.proof.amr, ['pwd'])
  assert.equal((await signIn(services, { ...attempt, password: grace.password })).kind, 'wrong-credentials')
})

for (const steps of [-1, 0, 1]) {
  test(`a code is right ${steps} steps from now`, async () => {
    const { key } = await addApp()
    const code = codeOf(key, clock(), steps)
    assert.deepEqual(await proveCode(services, signedIn.identityId, ` ${code.slice(0, 3)} ${code.slice(3)} `, home), [
      'otp',
    ])
  })
}

for (const steps of [-20, -2, 2, 20]) {
  test(`a code is wrong ${steps} steps from now`, async () => {
    const { key } = await addApp()
    assert.equal(await proveCode(services, signedIn.identityId, codeOf(key, clock(), steps), home), null)
    assert.equal((await sentences())[0], 'A sign-in attempt with your password was stopped by two-step verification.')
  })
}

test('once a newer code was used, an older one is worth nothing', async () => {
  const { key } = await addApp()
  assert.notEqual(await proveCode(services, signedIn.identityId, codeOf(key, clock(), 1), home), null)
  assert.equal(await proveCode(services, signedIn.identityId, codeOf(key, clock(), 0), home), null)
  assert.equal(await proveCode(services, signedIn.identityId, codeOf(key, clock(), -1), home), null)
  clock.advance(60)
  assert.notEqual(await proveCode(services, signedIn.identityId, codeOf(key, clock()), home), null)
})

test('one code presented twenty times at once to two processes is accepted once', async () => {
  const { key } = await addApp()
  const code = codeOf(key, clock())
  const proofs = await Promise.all(
    Array.from({ length: 20 }, async (_, index) =>
      proveCode(index % 2 === 0 ? services : elsewhere, signedIn.identityId, code, home),
    ),
  )
  assert.equal(proofs.filter((proof) => proof !== null).length, 1)
})

test('wrong codes have to wait after a few, and a right one does not help before that', async () => {
  const { key } = await addApp()
  const strict = { ...services, policy: { ...services.policy, loginAttemptsBeforeDelay: 5, loginDelayMin: 600 } }
  const prove = async (code: string) => {
    const attempt = { identityId: signedIn.identityId, answer: { code }, clientInfo: home, deviceHash: null }
    return (await proveSecondStep(strict, attempt)).kind
  }
  for (let count = 0; count < 6; count++) assert.equal(await prove('000000'), 'refused')
  assert.equal(await prove(codeOf(key, clock())), 'throttled')
})

test('each of two authenticator apps has its own codes, and those of another user are refused', async () => {
  const phone = await addApp('Phone')
  const tablet = await addApp('Tablet')
  const stranger = await newcomer(services)
  assert.equal(await proveCode(services, stranger.identityId, codeOf(phone.key, clock()), home), null)
  for (const { key } of [phone, tablet])
    assert.notEqual(await proveCode(services, signedIn.identityId, codeOf(key, clock()), home), null)
})

for (const typed of ['', 'abcdef', '12345', '1234567', '１２３４５６', '0'.repeat(5000), "' OR 1=1 --", '-----']) {
  test(`${JSON.stringify(typed.slice(0, 20))} is no code, and nothing worse`, async () => {
    await addApp()
    assert.equal(await proveCode(services, signedIn.identityId, typed, home), null)
  })
}

test('the first factor comes with ten recovery codes of 80 bits, the second with none', async () => {
  const { recoveryCodes } = await addApp()
  assert.equal(new Set(recoveryCodes).size, 10)
  for (const code of recoveryCodes ?? []) assert.match(code, /^([0-9a-hjkmnp-tv-z]{4}-){3}[0-9a-hjkmnp-tv-z]{4}$/)
  assert.equal((await addApp('Tablet')).recoveryCodes, null)
  assert.equal((await listSecondFactors(services, signedIn.identityId)).recoveryCodesLeft, 10)
})

test('a recovery code stands in for a second factor once, however it is copied from paper', async () => {
  const { recoveryCodes } = await addApp()
  const [first = '', second = '', third = ''] = recoveryCodes ?? []
  const misread = second.toUpperCase().replaceAll('-', '  ').replaceAll('0', 'O').replaceAll('1', 'l')
  assert.deepEqual(await proveCode(services, signedIn.identityId, first, home), ['otp'])
  assert.deepEqual(await proveCode(services, signedIn.identityId, misread, home), ['otp'])
  for (const used of [first, second]) assert.equal(await proveCode(services, signedIn.identityId, used, home), null)
  assert.equal(await proveCode(services, (await newcomer(services)).identityId, third, home), null)
  assert.equal((await listSecondFactors(services, signedIn.identityId)).recoveryCodesLeft, 8)
  assert.equal((await sentences()).filter((sentence) => sentence === 'A recovery code was used.').length, 2)
})

test('a recovery code presented twenty times at once to two processes is accepted once', async () => {
  const { recoveryCodes } = await addApp()
  const proofs = await Promise.all(
    Array.from({ length: 20 }, async (_, index) =>
      proveCode(index % 2 === 0 ? services : elsewhere, signedIn.identityId, recoveryCodes?.[0] as string, home),
    ),
  )
  assert.equal(proofs.filter((proof) => proof !== null).length, 1)
})

test('a new set of recovery codes makes the old one worthless', async () => {
  const { recoveryCodes: old } = await addApp()
  const fresh = (await renewRecoveryCodes(services, signedIn, home)) as string[]
  assert.equal(await proveCode(services, signedIn.identityId, old?.[0] as string, home), null)
  assert.notEqual(await proveCode(services, signedIn.identityId, fresh?.[0] as string, home), null)
  assert.equal((await listSecondFactors(services, signedIn.identityId)).recoveryCodesLeft, 9)
})

test('a user without a second factor gets no recovery codes', async () => {
  assert.equal(await renewRecoveryCodes(services, signedIn, home), null)
})

test('removing the last factor leaves the password alone, and no recovery code', async () => {
  const { recoveryCodes } = await addApp('Phone')
  await addApp('Tablet')
  const [phone, tablet] = (await listSecondFactors(services, signedIn.identityId)).factors
  const remove = async (id: string) => removeSecondFactor(services, signedIn, 'totp', id, home)
  assert.deepEqual(await remove(phone?.id as string), { kind: 'removed', wasLast: false })
  assert.equal((await listSecondFactors(services, signedIn.identityId)).recoveryCodesLeft, 10)
  assert.deepEqual(await remove(tablet?.id as string), { kind: 'removed', wasLast: true })
  assert.deepEqual(await listSecondFactors(services, signedIn.identityId), { factors: [], recoveryCodesLeft: 0 })
  assert.equal(await proveCode(services, signedIn.identityId, recoveryCodes?.[0] as string, home), null)
  assert.deepEqual((await sentences()).slice(1, 3), [
    'The authenticator app “Tablet” was removed.',
    'The authenticator app “Phone” was removed.',
  ])
})

test('a password that is too short to stand alone keeps the last factor, also when both are removed at once', async () => {
  await addApp('Phone')
  await addApp('Tablet')
  await services.storage.pool.query('UPDATE identities SET password_stands_alone = false WHERE id = $1', [
    signedIn.identityId,
  ])
  const { factors } = await listSecondFactors(services, signedIn.identityId)
  const outcomes = await Promise.all(
    factors.map(async ({ id }, index) =>
      removeSecondFactor(index === 0 ? services : elsewhere, signedIn, 'totp', id, home),
    ),
  )
  assert.deepEqual(outcomes.map(({ kind }) => kind).toSorted(), ['password-too-short', 'removed'])
  assert.equal((await listSecondFactors(services, signedIn.identityId)).factors.length, 1)
})

test('a user cannot remove or rename a factor of another user, or one that does not exist', async () => {
  await addApp('Phone')
  const [factor] = (await listSecondFactors(services, signedIn.identityId)).factors
  const stranger = await newcomer(services)
  const id = factor?.id as string
  assert.deepEqual(await removeSecondFactor(services, stranger, 'totp', id, home), { kind: 'unknown' })
  assert.deepEqual(await removeSecondFactor(services, signedIn, 'passkey', id, home), { kind: 'unknown' })
  assert.equal(await renameSecondFactor(services, stranger, 'totp', id, 'Mine'), false)
  assert.equal(await renameSecondFactor(services, signedIn, 'totp', id, ' Old phone '), true)
  assert.deepEqual(
    (await listSecondFactors(services, signedIn.identityId)).factors.map(({ name }) => name),
    ['Old phone'],
  )
})

test('a user has twenty factors at most', async () => {
  for (let count = 0; count < 20; count++) await addApp(`Phone ${count}`, 30)
  const { key } = await beginTotpEnrolment(services, signedIn)
  assert.deepEqual(await addTotpKey(services, signedIn, 'One more', codeOf(key, clock()), home), { kind: 'too-many' })
})

test('a name has one to forty characters', () => {
  for (const name of ['P', 'Ada’s phone 📱', ' padded ', 'é'.repeat(40), '📱'.repeat(40)])
    assert.equal(factorNameProblem(name), null, name)
  for (const name of ['', '   ', 'x'.repeat(41)]) assert.notEqual(factorNameProblem(name), null, name)
})

test('adding and removing a second factor sends a mail', async () => {
  await addApp('Phone')
  const [factor] = (await listSecondFactors(services, signedIn.identityId)).factors
  await removeSecondFactor(services, signedIn, 'totp', factor?.id as string, home)
  const { rows } = await services.storage.pool.query<{ data: Record<string, unknown> }>(
    `SELECT data FROM queue.job WHERE name = 'mail' AND data->>'identityId' = $1 AND data->>'kind' LIKE 'second-factor%' ORDER BY created_on`,
    [signedIn.identityId],
  )
  assert.deepEqual(
    rows.map(({ data }) => [data['kind'], data['factor'], (data['clientInfo'] as ClientInfo).address]),
    [
      ['second-factor-added', 'authenticator app “Phone”', home.address],
      ['second-factor-removed', 'authenticator app “Phone”', home.address],
    ],
  )
})

test('no key and no recovery code is in the database as it is, proved or not', async () => {
  const { key, recoveryCodes } = await addApp()
  const waiting = await beginTotpEnrolment(services, signedIn)
  const { pool } = services.storage
  const rows = await Promise.all(
    ['totp_keys', 'recovery_codes', 'handshakes', 'audit_events'].map(async (table) =>
      pool.query<{ row: string }>(`SELECT t::text AS row FROM ${table} t`),
    ),
  )
  const dump = rows.flatMap((result) => result.rows.map(({ row }) => row)).join('\n')
  for (const secret of [key, waiting.key, ...(recoveryCodes ?? [])])
    for (const spelling of [secret, secret.replaceAll(/[ -]/g, '')]) assert.equal(dump.includes(spelling), false)
  assert.equal(dump.includes(signedIn.identityId), true)
})

test('codes made under an older secret work beside a newer one, and the key moves over to it', async () => {
  const { key, recoveryCodes } = await addApp()
  const both = { ...services, secrets: deriveSecrets([NEWER_SECRET, TEST_SECRET]) }
  const newer = { ...services, secrets: deriveSecrets([NEWER_SECRET]) }
  assert.equal(await proveCode(newer, signedIn.identityId, codeOf(key, clock()), home), null)
  assert.notEqual(await proveCode(both, signedIn.identityId, codeOf(key, clock()), home), null)
  assert.notEqual(await proveCode(both, signedIn.identityId, recoveryCodes?.[0] as string, home), null)
  clock.advance(60)
  assert.notEqual(await proveCode(newer, signedIn.identityId, codeOf(key, clock()), home), null)
  assert.equal(await proveCode(newer, signedIn.identityId, recoveryCodes?.[1] as string, home), null)
})

test('an encrypted key that was copied to the row of another user does not decrypt', async () => {
  const { key } = await addApp()
  const thief = await newcomer(services)
  const { pool } = services.storage
  await pool.query(
    `INSERT INTO totp_keys (id, identity_id, name, encrypted_secret, last_step, created_at)
     SELECT gen_random_uuid(), $2, name, encrypted_secret, 0, created_at FROM totp_keys WHERE identity_id = $1`,
    [signedIn.identityId, thief.identityId],
  )
  assert.equal(await proveCode(services, thief.identityId, codeOf(key, clock()), home), null)
})
