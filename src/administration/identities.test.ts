import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { askForPasswordReset } from '../domain/accounts/password-resets.ts'
import { createApp } from '../domain/apps/apps.ts'
import { addAppRole } from '../domain/apps/app-roles.ts'
import { findIdentity } from '../domain/identities/identities.ts'
import { beginAttempt } from '../domain/limits/login-throttling.ts'
import { signIn } from '../domain/sign-in/sign-in.ts'
import { Refused } from '../domain/refused.ts'
import { queuedMails } from '../testing/mail/mails.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { connect, familyRow, home } from '../testing/portal/connections.ts'
import { addIdentity } from '../testing/portal/identities.ts'
import { openTestPortal, type TestPortal } from '../testing/portal/open-portal.ts'
import { type AnyOperation, type Authority, Forbidden, InvalidInput, perform } from './operation.ts'
import { OPERATIONS } from './operations.ts'

let portal: TestPortal
let admin: string
let support: string

before(async () => {
  portal = await openTestPortal('postgres', { LOGIN_ATTEMPTS_BEFORE_DELAY: '3' })
  await createApp(portal, 'notes', notesApp)
  admin = await addPerson('root', ['admin'])
  support = await addPerson('helpdesk', ['support'])
})
after(() => portal.close())

test('an identity that is created without a password is shown, and no one signs in to it', async () => {
  const made = await asAdmin(OPERATIONS.createIdentity, {
    username: 'Émile',
    email: 'Emile@EXAMPLE.test',
    roles: ['reader'],
  })
  assert.equal(made.state, 'enabled')
  assert.equal(made.email_verified, false)
  const shown = await asAdmin(OPERATIONS.showIdentity, { identity: 'émile' })
  assert.deepEqual([shown.id, shown.assigned_roles, shown.second_factors], [made.id, ['reader'], []])
  assert.equal((await asAdmin(OPERATIONS.showIdentity, { identity: 'emile@example.test' })).id, made.id)
  assert.doesNotMatch(JSON.stringify(shown), /argon2|password/)
  assert.deepEqual(await lastEvent(made.id), ['registered', 'root', admin, '192.0.2.1'])
})

test('an identity that collides with another one is refused with the field', async () => {
  await addPerson('paul')
  await refused(OPERATIONS.createIdentity, { username: 'PAUL', email: 'x@example.test' }, 'conflict', ['username'])
  await refused(OPERATIONS.createIdentity, { username: 'pauI', email: 'x@example.test' }, 'conflict', ['username'])
  await refused(OPERATIONS.createIdentity, { username: 'paula', email: 'PAUL@example.test' }, 'conflict', ['email'])
  await refused(OPERATIONS.createIdentity, { username: 'раul', email: 'no address' }, 'invalid', ['username', 'email'])
  await refused(
    OPERATIONS.createIdentity,
    { username: 'paula', email: 'x@example.test', roles: ['a b'] },
    'invalid',
    [],
  )
})

test('of corrections to one name or address at the same moment, one wins and the others are conflicts', async () => {
  const people = await Promise.all(['one', 'two', 'three', 'four'].map(async (name) => addPerson(`racer-${name}`)))
  for (const wanted of [{ username: 'winner' }, { email: 'winner@example.test' }]) {
    const outcomes = await Promise.allSettled(
      people.map(async (identity) => asAdmin(OPERATIONS.updateIdentity, { identity, ...wanted })),
    )
    const reasons = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as Refused] : []))
    assert.deepEqual(
      reasons.map(({ code, problems }) => [code, problems.map(({ field }) => field)]),
      Array.from({ length: 3 }, () => ['conflict', Object.keys(wanted)]),
    )
  }
})

test('a user name is corrected to what looks like the old one, but not like that of another identity', async () => {
  const id = await addPerson('neiI')
  const { username } = await asAdmin(OPERATIONS.updateIdentity, { identity: id, username: 'neil' })
  assert.equal(username, 'neil')
  assert.equal((await asAdmin(OPERATIONS.showIdentity, { identity: 'NEIL' })).id, id)
  await refused(OPERATIONS.createIdentity, { username: 'neiI', email: 'nell@example.test' }, 'conflict', ['username'])
  const other = await addPerson('someone')
  await refused(OPERATIONS.updateIdentity, { identity: other, username: 'neiI' }, 'conflict', ['username'])
  assert.deepEqual(await kindsOf(id), ['user_name_changed', 'registered'])
})

test('a new address is unconfirmed and told at both, and earlier links stop working', async () => {
  const id = await addPerson('mover')
  const { email, email_verified: isConfirmed } = await asAdmin(OPERATIONS.updateIdentity, {
    identity: id,
    email: ' mover@NEW.example.test ',
  })
  assert.deepEqual([email, isConfirmed], ['mover@NEW.example.test', false])
  assert.equal((await findIdentity(portal, id))?.emailKey, 'mover@new.example.test')
  assert.deepEqual(await kindsOf(id), ['address_changed', 'registered'])
  assert.deepEqual(await mailsOf(id), ['address-changed', 'verify-address'])
  // The same again changes nothing, and tells no one.
  await asAdmin(OPERATIONS.updateIdentity, { identity: id, email })
  assert.equal((await mailsOf(id)).length, 2)
})

test('an operator who knows whose the address is takes it from an identity that only claimed it', async () => {
  const claimant = await addPerson('claimant')
  const owner = await addPerson('owner')
  await refused(OPERATIONS.updateIdentity, { identity: owner, email: 'claimant@example.test' }, 'conflict', ['email'])
  const corrected = await asAdmin(OPERATIONS.updateIdentity, {
    identity: owner,
    email: 'claimant@example.test',
    email_verified: true,
  })
  assert.equal(corrected.email_verified, true)
  assert.equal((await asAdmin(OPERATIONS.showIdentity, { identity: claimant })).owns_email, false)
  await refused(OPERATIONS.updateIdentity, { identity: claimant, email_verified: true }, 'conflict', ['email'])
  await refused(OPERATIONS.sendPasswordReset, { identity: claimant }, 'conflict', [])
})

test('a correction is made as a whole or not at all', async () => {
  const id = await addPerson('whole')
  await refused(
    OPERATIONS.updateIdentity,
    { identity: id, username: 'other', email: 'root@example.test', profile: { name: 'Whole' } },
    'conflict',
    ['email'],
  )
  const fields = { identity: id, username: 'a', email: 'b', profile: { phone_number: 'c', name: 'x'.repeat(101) } }
  await refused(OPERATIONS.updateIdentity, fields, 'invalid', ['phone_number', 'name', 'username', 'email'])
  const { username, profile } = await asAdmin(OPERATIONS.showIdentity, { identity: id })
  assert.deepEqual([username, profile], ['whole', {}])
  await asAdmin(OPERATIONS.updateIdentity, { identity: id, profile: { name: 'مريم', family_name: 'Ω' } })
  await asAdmin(OPERATIONS.updateIdentity, { identity: id, profile: { family_name: '' } })
  assert.deepEqual((await asAdmin(OPERATIONS.showIdentity, { identity: id })).profile, { name: 'مريم' })
})

test('people are found by each of their names, each once, page by page', async () => {
  const ids: string[] = []
  for (let number = 0; number < 5; number++) ids.push(await addPerson(`zoë-${number}`, [], `zoe${number}@example.test`))
  await asAdmin(OPERATIONS.updateIdentity, {
    identity: ids[0],
    profile: { name: 'Zoe Ångström', family_name: 'Ångström' },
  })
  await asAdmin(OPERATIONS.setIdentityRoles, { identity: ids[1], roles: ['zookeeper'] })
  await asAdmin(OPERATIONS.disableIdentity, { identity: ids[2] })
  await asAdmin(OPERATIONS.deleteIdentity, { identity: ids[3] })

  const found = async (input: Record<string, unknown>) => {
    const all: string[] = []
    let cursor: string | null = null
    do {
      const page: { items: { id: string }[]; next_cursor: string | null } = await asAdmin(OPERATIONS.listIdentities, {
        limit: 2,
        ...input,
        ...(cursor === null ? {} : { cursor }),
      })
      all.push(...page.items.map(({ id }) => id))
      cursor = page.next_cursor
    } while (cursor !== null)
    return all.map((id) => ids.indexOf(id))
  }
  assert.deepEqual(await found({ search: 'ZO' }), [0, 1, 2, 3, 4])
  assert.deepEqual(await found({ search: 'zoë' }), [0, 1, 2, 3, 4])
  assert.deepEqual(await found({ search: 'zoe4@ex' }), [4])
  assert.deepEqual(await found({ search: 'zoe å' }), [0])
  assert.deepEqual(await found({ search: 'Ångs' }), [0])
  assert.deepEqual(await found({ search: 'zo', state: 'enabled' }), [0, 1, 4])
  assert.deepEqual(await found({ search: 'zo', state: 'disabled' }), [2])
  assert.deepEqual(await found({ state: 'deleted' }), [3])
  assert.deepEqual(await found({ role: 'zookeeper' }), [1])
  for (const search of ['%', '_', '\u{10ffff}', 'z%']) assert.deepEqual(await found({ search }), [], search)
  for (const cursor of ['x', 'WyJhIiwiYiJd', Buffer.from('["\\u0000","a"]').toString('base64url')])
    await refused(OPERATIONS.listIdentities, { cursor }, 'invalid', [])
})

test('roles, roles in one app and attributes are set and removed, and a made-up app or role is refused', async () => {
  await addAppRole(portal, 'notes', 'author')
  const identity = await addPerson('bearer')
  await asAdmin(OPERATIONS.setIdentityAppRoles, { identity, client_id: 'notes', roles: ['author'] })
  await refused(OPERATIONS.setIdentityAppRoles, { identity, client_id: 'notes', roles: ['king'] }, 'invalid', [])
  await asAdmin(OPERATIONS.setIdentityAttribute, { identity, attribute: 'cost_centre', value: '4711' })
  await refused(OPERATIONS.setIdentityAttribute, { identity, attribute: 'Cost', value: '1' }, 'invalid', [])
  const shown = await asAdmin(OPERATIONS.showIdentity, { identity })
  assert.deepEqual([shown.app_roles, shown.attributes], [{ notes: ['author'] }, { cost_centre: '4711' }])
  await asAdmin(OPERATIONS.removeIdentityAttribute, { identity, attribute: 'cost_centre' })
  assert.deepEqual((await asAdmin(OPERATIONS.showIdentity, { identity })).attributes, {})
})

test('the last administrator is neither disabled, deleted nor made an ordinary user', async () => {
  for (const [asked, input] of [
    [OPERATIONS.disableIdentity, {}],
    [OPERATIONS.deleteIdentity, {}],
    [OPERATIONS.deleteIdentity, { now: 'true' }],
    [OPERATIONS.setIdentityRoles, { roles: [] }],
  ] as const)
    await refused(asked, { identity: admin, ...input }, 'last_administrator', [])
  assert.deepEqual((await findIdentity(portal, admin))?.roles, ['admin'])
})

test('a deleted identity is kept until it is erased, and an erased one is gone', async () => {
  const id = await addPerson('leaver')
  assert.notEqual((await asAdmin(OPERATIONS.deleteIdentity, { identity: id })).erased_from, null)
  assert.equal((await asAdmin(OPERATIONS.keepIdentity, { identity: id })).state, 'enabled')
  assert.deepEqual(await lastEvent(id), ['deletion_withdrawn', 'root', admin, '192.0.2.1'])
  assert.equal((await asAdmin(OPERATIONS.deleteIdentity, { identity: id, now: true })).erased_from, null)
  await refused(OPERATIONS.showIdentity, { identity: id }, 'not_found', [])
})

test('one browser is signed out with the apps that follow it, and the others stay', async () => {
  const id = await addPerson('traveller')
  const [suspicious, own] = [await connect(portal, id, 'notes'), await connect(portal, id, 'notes')]
  const { items } = await asSupport(OPERATIONS.listIdentitySessions, { identity: id })
  assert.equal(items.length, 2)
  const { identitySessionId } = await familyRow(portal, suspicious)
  await asSupport(OPERATIONS.endIdentitySession, { identity: id, session: identitySessionId })
  assert.equal((await familyRow(portal, suspicious)).endCause, 'operator')
  assert.equal((await familyRow(portal, own)).endedAt, null)
  await refused(OPERATIONS.endIdentitySession, { identity: id, session: identitySessionId }, 'not_found', [])
  // A session of another identity is not found either.
  const { items: left } = await asSupport(OPERATIONS.listIdentitySessions, { identity: id })
  await refused(OPERATIONS.endIdentitySession, { identity: admin, session: left[0]?.id }, 'not_found', [])
})

test('families are listed newest first, shown with their timeline, and ended', async () => {
  const id = await addPerson('connected')
  for (let number = 0; number < 3; number++) {
    await connect(portal, id, 'notes')
    portal.clock.advance(1)
  }
  const first = await asSupport(OPERATIONS.listIdentityFamilies, { identity: id, limit: 2 })
  const second = await asSupport(OPERATIONS.listIdentityFamilies, { identity: id, cursor: first.next_cursor })
  const listed = [...first.items, ...second.items]
  assert.deepEqual(
    listed.map(({ created_at: at }) => at),
    listed
      .map(({ created_at: at }) => at)
      .toSorted()
      .toReversed(),
  )
  assert.equal(new Set(listed.map((each) => each.id)).size, 3)

  const family = listed[0]?.id
  await asSupport(OPERATIONS.endFamily, { family })
  const shown = await asSupport(OPERATIONS.showFamily, { family })
  assert.deepEqual([shown.state, shown.cause, shown.username], ['ended', 'operator', 'connected'])
  assert.equal(shown.timeline.at(-1)?.kind, 'ended')
  const ofApp = await asSupport(OPERATIONS.listFamilies, { client_id: 'notes', identity: id, limit: 200 })
  assert.equal(ofApp.items.length, 3)
  assert.ok(
    (await asSupport(OPERATIONS.listFamilies, { client_id: 'notes' })).items.every(({ id: each }) => each !== family),
  )
  await refused(OPERATIONS.listFamilies, {}, 'invalid', [])
  await refused(OPERATIONS.showFamily, { family: support }, 'not_found', [])
  assert.equal((await asSupport(OPERATIONS.listIdentityEvents, { identity: id, limit: 1 })).items[0]?.actor, 'helpdesk')
})

test('support helps ordinary people, and touches no account of an operator', async () => {
  const person = await addPerson('ordinary')
  const colleague = await addPerson('colleague', ['support'])
  for (const asked of [OPERATIONS.sendPasswordReset, OPERATIONS.unlockIdentity, OPERATIONS.revokeEverything]) {
    await asSupport(asked, { identity: person })
    for (const identity of [admin, colleague, support]) await assert.rejects(asSupport(asked, { identity }), Forbidden)
  }
  const { familyId } = await connect(portal, admin, 'notes')
  await assert.rejects(asSupport(OPERATIONS.endFamily, { family: familyId }), Forbidden)
  assert.equal((await asSupport(OPERATIONS.showIdentity, { identity: admin })).username, 'root')
  const writes = Object.values(OPERATIONS as Record<string, AnyOperation>).filter(
    ({ resource, kind, forSupport }) => resource === 'identities' && kind === 'write' && !forSupport,
  )
  for (const asked of writes) await assert.rejects(asSupport(asked, { identity: person }), Forbidden, asked.name)
})

test('an unlocked account takes a password at once', async () => {
  const identity = await addPerson('locked')
  const attempt = { login: 'locked', clientInfo: home, deviceHash: null }
  const guess = async (password: string) => (await signIn(portal, { ...attempt, password })).kind
  for (let number = 0; number < 3; number++) assert.equal(await guess('wrong'), 'wrong-credentials')
  await guess('wrong')
  assert.equal(await guess('a long enough password'), 'throttled')
  await asSupport(OPERATIONS.unlockIdentity, { identity })
  assert.equal(await guess('a long enough password'), 'signed-in')
  const step = { kind: 'second-factor', account: identity, ipAddress: home.address, knownDevice: null } as const
  assert.equal((await beginAttempt(portal, step)).kind, 'go')
})

test('a reset is sent however often strangers have asked for one', async () => {
  const identity = await addPerson('flooded')
  for (let number = 0; number < 4; number++) await askForPasswordReset(portal, 'flooded', home)
  await asAdmin(OPERATIONS.sendPasswordReset, { identity })
  assert.deepEqual(await lastEvent(identity), ['reset_sent', 'root', admin, '192.0.2.1'])
  await asAdmin(OPERATIONS.disableIdentity, { identity })
  await refused(OPERATIONS.sendPasswordReset, { identity }, 'conflict', [])
})

test('an export is what the user gets, and is in the audit log', async () => {
  const identity = await addPerson('exported')
  const { profile, activity } = await asAdmin(OPERATIONS.exportIdentity, { identity })
  assert.equal((profile as { username: string }).username, 'exported')
  assert.match(JSON.stringify(activity), /An administrator downloaded/)
})

test('input that no rule could take is refused before anything is read', async () => {
  for (const input of [
    { identity: '' },
    { identity: 'x'.repeat(255) },
    { identity: ['root'] },
    { identity: 'ro\0ot' },
    { identity: '\u{d800}' },
    { identity: 'root', extra: 1 },
    {},
  ])
    await assert.rejects(asAdmin(OPERATIONS.showIdentity, input), InvalidInput)
  await refused(OPERATIONS.showIdentity, { identity: '\u{dfff}\u{d83d}'.toWellFormed() }, 'not_found', [])
})

async function addPerson(username: string, roles: string[] = [], email = `${username}@example.test`): Promise<string> {
  return addIdentity(portal, { username, email, password: 'a long enough password' }, { roles })
}

async function asAdmin<O extends AnyOperation>(asked: O, input: Record<string, unknown>) {
  return performAs({ name: 'root', id: admin, roles: ['admin'] }, asked, input)
}

async function asSupport<O extends AnyOperation>(asked: O, input: Record<string, unknown>) {
  return performAs({ name: 'helpdesk', id: support, roles: ['support'] }, asked, input)
}

async function performAs<O extends AnyOperation>(
  { name, id, roles }: { name: string; id: string; roles: string[] },
  asked: O,
  input: Record<string, unknown>,
) {
  const authority: Authority = { kind: 'role', roles }
  const answer = await perform({ ...portal, operator: { name, id, address: '192.0.2.1' } }, authority, asked, input)
  // The answer has the shape that it is documented with.
  if (asked.output !== null) asked.output.parse(answer)
  return answer
}

async function refused(
  asked: AnyOperation,
  input: Record<string, unknown>,
  code: Refused['code'],
  fields: string[],
): Promise<void> {
  await assert.rejects(asAdmin(asked, input), (error) => {
    assert.ok(error instanceof Refused, String(error))
    assert.equal(error.code, code, error.message)
    assert.deepEqual(error.problems.map(({ field }) => field).toSorted(), fields.toSorted(), error.message)
    return true
  })
}

async function lastEvent(id: string): Promise<unknown[]> {
  const { rows } = await portal.storage.pool.query<Record<string, unknown>>(
    'SELECT kind, actor, actor_id, actor_address FROM audit_events WHERE identity_id = $1 ORDER BY id DESC LIMIT 1',
    [id],
  )
  return Object.values(rows[0] ?? {})
}

async function kindsOf(id: string): Promise<string[]> {
  const { items } = await asAdmin(OPERATIONS.listIdentityEvents, { identity: id })
  return items.map(({ kind }) => kind)
}

async function mailsOf(id: string): Promise<string[]> {
  const mails = await queuedMails(portal)
  return mails.flatMap((mail) => ('identityId' in mail && mail.identityId === id ? [mail.kind] : [])).toSorted()
}
