import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { findPersonOf } from '../../storage/application-tokens.ts'
import { notesApp } from '../../testing/portal/apps.ts'
import { connect, familyRow, home } from '../../testing/portal/connections.ts'
import { addIdentity } from '../../testing/portal/identities.ts'
import { openTestPortal, type TestPortal } from '../../testing/portal/open-portal.ts'
import { ada } from '../../testing/portal/people.ts'
import { createApp, findApp } from '../apps/apps.ts'
import type { EndCause } from '../endings/end-causes.ts'
import { momentOf, rotate, rotateUnproved } from './families.ts'
import { endCauseOf } from './family-ends.ts'

const IDLE_DAYS = 7

let services: TestPortal

before(async () => {
  services = await openTestPortal('postgres', { IDENTITY_SESSION_IDLE: String(IDLE_DAYS * 86_400) })
})
after(async () => services.close())

const FAMILY = 'UPDATE families f SET'
const OF_FAMILY = 'WHERE f.id = $1'
const SESSION = 'UPDATE identity_sessions s SET'
const OF_SESSION = 'FROM families f WHERE s.id = f.identity_session_id AND f.id = $1'
const OF_APP = 'FROM families f WHERE a.client_id = f.client_id AND f.id = $1'
const IDENTITY = 'UPDATE identities i SET'
const OF_IDENTITY = 'FROM families f WHERE i.id = f.identity_id AND f.id = $1'

/** What happened to a family by the moment $2, why it is over then, and why one millisecond before. */
const STATES: {
  state: string
  changes: string[]
  cause: EndCause | null
  before?: EndCause | null
  reason?: string
}[] = [
  { state: 'nothing happened', changes: [], cause: null },
  {
    state: 'it was ended',
    changes: [`${FAMILY} ended_at = $2, end_cause = 'disconnected' ${OF_FAMILY}`],
    cause: 'disconnected',
    reason: 'revoked',
  },
  {
    state: 'its identity was disabled',
    changes: [`${IDENTITY} disabled_at = $2 ${OF_IDENTITY}`],
    cause: 'identity_disabled',
    reason: 'identity_disabled',
  },
  {
    state: 'its identity was deleted',
    changes: [`${IDENTITY} erased_from = $2 ${OF_IDENTITY}`],
    cause: 'identity_disabled',
    reason: 'identity_disabled',
  },
  {
    state: 'its app was disabled',
    changes: [`UPDATE apps a SET disabled_at = $2 ${OF_APP}`],
    cause: 'app_disabled',
    reason: 'app_disabled',
  },
  {
    state: 'its user may no longer enter its app',
    changes: [`UPDATE apps a SET access = 'assigned' ${OF_APP}`],
    cause: 'access_withdrawn',
    reason: 'access_withdrawn',
  },
  {
    state: 'its user may enter its app with a role',
    changes: [
      `UPDATE apps a SET access = 'assigned', allowed_roles = '{sales,support}' ${OF_APP}`,
      `${IDENTITY} roles = '{editor,sales}' ${OF_IDENTITY}`,
    ],
    cause: null,
  },
  {
    state: 'it reached its end',
    changes: [`${FAMILY} expires_at = $2, idle_expires_at = $2::timestamptz + interval '1 h' ${OF_FAMILY}`],
    cause: 'expired',
    before: null,
    reason: 'expired',
  },
  {
    state: 'it was idle too long',
    changes: [`${FAMILY} idle_expires_at = $2 ${OF_FAMILY}`],
    cause: 'idle_expired',
    before: null,
    reason: 'expired',
  },
  {
    state: 'the session that it follows ended',
    changes: [`${FAMILY} lifetime = 'session' ${OF_FAMILY}`, `${SESSION} ended_at = $2 ${OF_SESSION}`],
    cause: 'session_expired',
    reason: 'expired',
  },
  {
    state: 'the session that it follows reached its end',
    changes: [`${FAMILY} lifetime = 'session' ${OF_FAMILY}`, `${SESSION} expires_at = $2 ${OF_SESSION}`],
    cause: 'session_expired',
    before: null,
    reason: 'expired',
  },
  {
    state: 'the session that it follows was not seen for too long',
    changes: [
      `${FAMILY} lifetime = 'session' ${OF_FAMILY}`,
      `${SESSION} last_seen_at = $2::timestamptz - interval '${IDLE_DAYS} days' ${OF_SESSION}`,
    ],
    cause: 'session_expired',
    before: null,
    reason: 'expired',
  },
  {
    state: 'the session ended that it does not follow',
    changes: [`${FAMILY} lifetime = 'browser' ${OF_FAMILY}`, `${SESSION} ended_at = $2 ${OF_SESSION}`],
    cause: null,
  },
]

for (const { state, changes, cause, before: causeBefore = cause, reason } of STATES) {
  test(`SQL and the rule agree on a family: ${state}`, async () => {
    const family = await familyThat(changes)

    services.clock.advance(-0.001)
    await assertVerdict(family, causeBefore)
    services.clock.advance(0.001)
    await assertVerdict(family, cause)

    const rotated = await rotateUnproved(services, family.refreshToken, family.clientId, family.proof, home)
    assert.equal(rotated === null, cause !== null, 'the rotation')
    if (cause === null) return
    const refused = await rotate(services, {
      ...family,
      scopes: null,
      audience: 'default',
      jkt: null,
      clientInfo: home,
    })
    assert.equal(refused.kind, 'refused')
    assert.equal(refused.kind === 'refused' && refused.reason, reason)
  })
}

/** A family of its own person and app, one hour from now. */
async function familyThat(changes: string[]) {
  const clientId = `app-${randomUUID()}`
  await createApp(services, clientId, notesApp)
  const username = `ada-${randomUUID()}`
  const identityId = await addIdentity(services, { ...ada, username, email: `${username}@example.test` })
  const connection = await connect(services, identityId, clientId)
  services.clock.advance(3600)
  for (const change of changes) {
    const values = change.includes('$2') ? [connection.familyId, services.clock()] : [connection.familyId]
    await services.storage.pool.query(change, values)
  }
  return { ...connection, proof: { secretHash: (await findApp(services, clientId))?.secretHash ?? null } }
}

/** The rule names the cause, and the statement that reads on behalf of an application token finds what lives. */
async function assertVerdict(family: { familyId: string }, cause: EndCause | null) {
  assert.equal(endCauseOf(await familyRow(services, family), services.clock()), cause)
  const person = await findPersonOf(services.storage.pool, family.familyId, momentOf(services))
  assert.equal(person === null, cause !== null, 'the application token')
}
