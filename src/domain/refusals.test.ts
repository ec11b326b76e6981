import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { transaction } from '../storage/postgres.ts'
import { home } from '../testing/portal/connections.ts'
import { addIdentity } from '../testing/portal/identities.ts'
import { openTestPortal, type TestPortal } from '../testing/portal/open-portal.ts'
import { ada, grace } from '../testing/portal/people.ts'
import { signInByMail } from './accounts/mail-sign-ins.ts'
import { disableIdentity } from './identities/identities.ts'
import { makeMailLink } from './identities/mail-links.ts'
import { blockIp } from './limits/ip-blocks.ts'
import { REFUSAL_REASONS } from './refusals.ts'
import { openIdentitySession } from './sign-in/identity-sessions.ts'
import { proveSecondStep } from './sign-in/second-factors.ts'
import { signIn, signInByPasskey } from './sign-in/sign-in.ts'

let portal: TestPortal
let adaId: string
let graceId: string

before(async () => {
  portal = await openTestPortal('postgres', { LOGIN_ATTEMPTS_BEFORE_DELAY: '5' })
  adaId = await addIdentity(portal, ada)
  graceId = await addIdentity(portal, grace)
})
after(() => portal.close())

const OTHER_IP = { ...home, address: '203.0.113.7' }
const UNKNOWN_PASSKEY = JSON.stringify({
  id: 'AAAA',
  rawId: 'AAAA',
  type: 'public-key',
  response: { clientDataJSON: 'AAAA', authenticatorData: 'AAAA', signature: 'AAAA' },
})
const password = async (login: string, typed: string, clientInfo = home) =>
  signIn(portal, { login, password: typed, clientInfo, deviceHash: null })

async function link(): Promise<string> {
  const browserHash = createHash('sha256').update('the browser that asked').digest()
  return transaction(portal.storage.pool, (db) =>
    makeMailLink(portal, db, 'sign-in', { identityId: adaId, email: ada.email, browserHash }),
  )
}

/** Every way to be refused, with the reason and the account in the audit log. */
const WAYS: [string, () => Promise<unknown>, string, () => string | null][] = [
  ['a wrong password', async () => password(ada.username, 'wrong'), 'wrong_password', () => adaId],
  ['an unknown login', async () => password('a-secret-i-mistyped', 'x'), 'unknown_account', () => null],
  [
    'a wrong code',
    async () =>
      proveSecondStep(portal, { identityId: adaId, answer: { code: '000000' }, clientInfo: home, deviceHash: null }),
    'wrong_code',
    () => adaId,
  ],
  [
    'a wrong passkey as the second step',
    async () =>
      proveSecondStep(portal, {
        identityId: adaId,
        answer: { credential: UNKNOWN_PASSKEY },
        clientInfo: home,
        deviceHash: null,
      }),
    'wrong_passkey',
    () => adaId,
  ],
  [
    'a passkey that is not known',
    async () => signInByPasskey(portal, { credential: UNKNOWN_PASSKEY, clientInfo: home, deviceHash: null }),
    'wrong_passkey',
    () => null,
  ],
  [
    'a mailed link in another browser',
    async () => signInByMail(portal, await link(), null, home),
    'unusable_link',
    () => adaId,
  ],
  [
    'a password that is changed before the second step',
    async () =>
      openIdentitySession(portal, { identityId: adaId, amr: ['pwd'], passwordMark: 'of another one' }, home, null),
    'lapsed',
    () => adaId,
  ],
  [
    'a disabled account with the right password',
    async () => {
      await disableIdentity(portal, graceId)
      return password(grace.username, grace.password)
    },
    'disabled',
    () => graceId,
  ],
  [
    'an account that is disabled before the second step',
    async () => openIdentitySession(portal, { identityId: graceId, amr: ['hwk', 'user'] }, home, null),
    'disabled',
    () => graceId,
  ],
  [
    'too many attempts',
    async () => {
      for (let times = 0; times < 6; times++) await password(ada.username, 'wrong')
      return password(ada.username, ada.password)
    },
    'throttled',
    () => adaId,
  ],
  [
    'a blocked IP address',
    async () => {
      await blockIp(portal, OTHER_IP.address, 100)
      return password(ada.username, ada.password, OTHER_IP)
    },
    'ip_blocked',
    () => adaId,
  ],
]

for (const [what, act, cause, accountOf] of WAYS) {
  test(`${what} is in the audit log with the account and the reason`, async () => {
    await act()
    const { rows } = await portal.storage.pool.query<Record<string, string | null>>(
      'SELECT kind, identity_id, cause FROM audit_events ORDER BY id DESC LIMIT 1',
    )
    assert.match(rows[0]?.['kind'] ?? '', /_refused$/)
    assert.deepEqual([rows[0]?.['cause'], rows[0]?.['identity_id']], [cause, accountOf()])
  })
}

test('these are all reasons, and what was typed for an account that there is not is nowhere', async () => {
  // Those of an identity source are tested with one (http/identity-source.test.ts).
  const causes = [...new Set(WAYS.map(([, , cause]) => cause)), 'not_taken_over', 'password_expired']
  assert.deepEqual(causes.toSorted(), Object.keys(REFUSAL_REASONS).toSorted())
  const { rows } = await portal.storage.pool.query("SELECT 1 FROM audit_events e WHERE e::text LIKE '%mistyped%'")
  assert.equal(rows.length, 0)
})

test('a stranger who is refused without a check causes 60 events an hour', async () => {
  for (let times = 0; times < 70; times++) await password(randomUUID(), 'x', OTHER_IP)
  const { rows } = await portal.storage.pool.query(
    "SELECT 1 FROM audit_events WHERE address = $1 AND cause = 'ip_blocked'",
    [OTHER_IP.address],
  )
  assert.equal(rows.length, 60)
})
