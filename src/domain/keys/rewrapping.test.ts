import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { listLastingSecrets } from '../../storage/lasting-secrets.ts'
import { notesApp } from '../../testing/portal/apps.ts'
import { connect, home } from '../../testing/portal/connections.ts'
import { newcomer } from '../../testing/portal/newcomers.ts'
import { openTestPortal, TEST_SECRET, type TestPortal } from '../../testing/portal/open-portal.ts'
import { codeOf } from '../../testing/portal/totp.ts'
import { linkIn } from '../accounts/linked-accounts.ts'
import { createApp } from '../apps/apps.ts'
import { rotate } from '../families/families.ts'
import {
  createIdentityProvider,
  findIdentityProvider,
  type IdentityProvider,
  upstreamProviderOf,
} from '../identity-providers/identity-providers.ts'
import type { Services } from '../services.ts'
import type { SignedInRow } from '../sign-in/identity-sessions.ts'
import { addTotpKey, proveSecondStep } from '../sign-in/second-factors.ts'
import { beginTotpEnrolment } from '../sign-in/totp.ts'
import { openLastingSecret } from './lasting-secrets.ts'
import { forgetOlderSecrets, rewrap } from './rewrapping.ts'
import { listSecrets, noteRunning, noteStopped, openSecrets, settleRootSecrets } from './root-secrets.ts'
import { deriveSecrets } from './secrets.ts'
import { KeyRing } from './signing-keys.ts'

const OLD = TEST_SECRET
const NEW = 'the new root secret, of 32 bytes or more'
const NEWEST = 'the newest root secret, of 32 bytes or more'

const google = { name: 'Google', issuer: 'https://accounts.google.com', clientId: 'gatehouse' }

let portal: TestPortal
let user: SignedInRow
let phone: { key: string; codes: string[] }

before(async () => {
  portal = await openTestPortal()
  await createApp(portal, 'notes', notesApp)
  user = await newcomer(portal)
  phone = await addPhone(portal, user)
  await createIdentityProvider(portal, 'google', { ...google, clientSecret: 'known-to-google' })
  const account = { providerId: 'google', provider: 'Google', subject: '1', email: null, tokens: '{}' }
  await linkIn(portal, portal.storage.pool, user.identityId, account, null)
})
after(() => portal.close())

/** The rules in a process with these secrets. */
async function having(...roots: [string, ...string[]]): Promise<Services> {
  return { ...portal, secrets: await openSecrets(portal.storage, deriveSecrets(roots), portal.clock()) }
}

async function addPhone(services: Services, signedIn: SignedInRow) {
  const { key } = await beginTotpEnrolment(services, signedIn)
  const added = await addTotpKey(services, signedIn, 'Phone', codeOf(key, portal.clock()), home)
  portal.clock.advance(60)
  return { key, codes: (added as { recoveryCodes: string[] | null }).recoveryCodes ?? [] }
}

async function proves(services: Services, answer: { code: string } | { recoveryCode: string }): Promise<boolean> {
  portal.clock.advance(60)
  const typed = 'code' in answer ? { code: codeOf(answer.code, portal.clock()) } : answer
  const attempt = { identityId: user.identityId, answer: typed, clientInfo: home, deviceHash: null }
  return (await proveSecondStep(services, attempt)).kind === 'proved'
}

const runningProcess = () => ({ id: randomUUID(), signingKeysId: portal.keys.id() })

async function refreshes(services: Services, refreshToken: string): Promise<string | null> {
  const asked = { clientId: 'notes', refreshToken, scopes: null, audience: 'default', jkt: null } as const
  const rotation = await rotate(services, { ...asked, clientInfo: home })
  return rotation.kind === 'rotated' ? rotation.refreshToken : null
}

test('a root secret is replaced in four steps, and what was made under the old one stays valid without it', async () => {
  const [a, b] = [runningProcess(), runningProcess()]
  const families = await Promise.all([1, 2, 3].map(async () => connect(portal, user.identityId, 'notes')))
  const [before, during, late] = families.map(({ refreshToken }) => refreshToken) as [string, string, string]
  await settleRootSecrets(await having(OLD), a)

  // A process that does not have the new secret would open nothing that is rewrapped.
  await assert.rejects(rewrap(await having(NEW, OLD), null), /1 running process does not have the first secret/)
  await settleRootSecrets(await having(OLD, NEW), a)
  await settleRootSecrets(await having(NEW, OLD), b)
  const mixed = [await having(OLD, NEW), await having(NEW, OLD)] as const
  const there = (await refreshes(mixed[1], before)) as string
  const back = (await refreshes(mixed[0], there)) as string
  const another = await newcomer(portal)
  await addPhone(mixed[0], another)
  const first = await rewrap(mixed[1], null)
  const { length: lastingSecrets } = await listLastingSecrets(portal.storage.pool)
  assert.deepEqual(first.rewrapped, {
    signingKeys: 3,
    lastingSecrets,
    totpKeys: 2,
    providerSecrets: 1,
    upstreamTokens: 1,
    keptKeys: 0,
  })
  assert.deepEqual([first.canRemove, first.processesOnOlder], [false, 1])

  portal.clock.advance(30)
  await noteStopped(await having(OLD, NEW), a)
  portal.clock.advance(60)
  const second = await rewrap(mixed[1], null)
  assert.equal(second.canRemove, true)
  assert.deepEqual(new Set(Object.values(second.rewrapped)), new Set([0]))
  const left = Object.fromEntries(second.left.map(({ what, count, isKept }) => [what, [count, isKept]]))
  assert.deepEqual(left['refresh_tokens'], [3, true])
  assert.deepEqual(left['recovery_codes'], [20, true])
  assert.deepEqual(left['requests_in_progress'], [null, true])
  await noteStopped(mixed[1], b)

  const only = await having(NEW)
  await settleRootSecrets(only, b)
  for (const token of [back, during]) assert.notEqual(await refreshes(only, token), null)
  assert.equal(await proves(only, { code: phone.key }), true)
  assert.equal(await proves(only, { recoveryCode: phone.codes[0] as string }), true)
  const provider = (await findIdentityProvider(only, 'google')) as IdentityProvider
  assert.equal(upstreamProviderOf(only, provider).clientSecret, 'known-to-google')

  // The old secret alone opens nothing that is stored, and knows no token of the new one.
  const alone = await having(OLD)
  await assert.rejects(KeyRing.open(portal.storage, alone.secrets, portal.clock), /does not open the signing keys/)
  await assert.rejects(openLastingSecret(portal.storage, alone.secrets, 'subject-salt'), /does not open/)
  assert.equal(await proves(alone, { code: phone.key }), false)

  // What is over within a day is then no longer accepted under it, and the chain of secrets goes on.
  portal.clock.advance(86_400)
  const next = await having(NEWEST, NEW)
  await settleRootSecrets(next, b)
  assert.equal((await rewrap(next, null)).canRemove, true)
  const states = async (services: Services) =>
    (await listSecrets(services)).map(({ state, processes }) => [state, processes])
  assert.deepEqual((await states(next)).toSorted(), [
    ['kept', 0],
    ['signing', 1],
    ['verifying', 1],
  ])
  const newest = await having(NEWEST)
  assert.equal(newest.secrets.length, 3)
  assert.notEqual(await refreshes(newest, late), null)
  assert.equal(await proves(newest, { recoveryCode: phone.codes[1] as string }), true)
  assert.equal(await proves(newest, { code: phone.key }), true)
})

test('older secrets are given up only once no process has them, and then nothing of theirs is valid', async () => {
  const left = await connect(await having(NEW), user.identityId, 'notes')
  await assert.rejects(forgetOlderSecrets(await having(NEWEST, NEW), null), /take the older secrets out/)
  portal.clock.advance(91)
  const { lost } = await forgetOlderSecrets(await having(NEWEST), null)
  assert.ok(lost.some(({ what }) => what === 'recovery_codes'))
  const newest = await having(NEWEST)
  assert.equal(newest.secrets.length, 1)
  assert.equal(await refreshes(newest, left.refreshToken), null)
  assert.equal(await proves(newest, { recoveryCode: phone.codes[2] as string }), false)
  assert.equal(await proves(newest, { code: phone.key }), true)
})

test('a portal does not start without a secret under which authenticator apps are stored, until they are given up', async () => {
  const process = runningProcess()
  await noteRunning(await having(OLD), process)
  await addPhone(await having(OLD), await newcomer(portal))
  portal.clock.advance(91)
  await assert.rejects(
    settleRootSecrets(await having(NEWEST), process),
    /lacks an earlier secret \([\w-]{12}\) under which 1 authenticator app is stored: put it back after a comma/,
  )
  await forgetOlderSecrets(await having(NEWEST), null)
  await settleRootSecrets(await having(NEWEST), process)
})
