import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { insertAuditEvents } from '../storage/audit.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { home } from '../testing/portal/connections.ts'
import { openTestPortal, type TestPortal } from '../testing/portal/open-portal.ts'
import { createApp } from './apps/apps.ts'
import { type ActivityEntry, listActivityEntries } from './activity.ts'
import type { AuditEvent } from './audit-events.ts'
import { END_CAUSES } from './endings/end-causes.ts'

let portal: TestPortal
before(async () => {
  portal = await openTestPortal()
  await createApp(portal, 'notes', notesApp)
})
after(() => portal.close())

for (const [event, sentence, tone] of [
  [{ kind: 'registered' }, 'Your account was created.', 'good'],
  [{ kind: 'signed_in' }, 'You signed in.', 'good'],
  [{ kind: 'sign_in_refused' }, 'Somebody tried to sign in as you and did not have the password.', 'warning'],
  [
    { kind: 'confirmation_refused', detail: 'password-change' },
    'A wrong password was entered while changing your password.',
    'plain',
  ],
  [
    { kind: 'confirmation_refused', detail: 'identity' },
    'A wrong password was entered to confirm that it was you.',
    'plain',
  ],
  [
    { kind: 'confirmation_refused', detail: 'second-factor' },
    'A wrong second factor was entered to confirm that it was you.',
    'plain',
  ],
  [{ kind: 'signed_out', cause: 'signed_out' }, 'You signed out.', 'plain'],
  [{ kind: 'session_ended', cause: 'ended_by_person' }, 'A browser was signed out: you ended it.', 'plain'],
  [{ kind: 'session_ended' }, 'A browser was signed out: it was ended.', 'plain'],
  [{ kind: 'family_opened', clientId: 'notes' }, 'Notes was connected.', 'good'],
  [{ kind: 'family_opened', clientId: 'gone' }, 'gone was connected.', 'good'],
  [{ kind: 'family_ended', clientId: 'notes', cause: 'toString' }, 'Notes was disconnected: it was ended.', 'plain'],
  [{ kind: 'identity_disabled' }, 'Your account was disabled by an operator.', 'warning'],
  [{ kind: 'identity_enabled' }, 'Your account was enabled again by an operator.', 'good'],
  [{ kind: 'roles_changed', detail: 'editor, admin' }, 'An operator changed your roles to: editor, admin.', 'plain'],
  [{ kind: 'roles_changed', detail: '' }, 'An operator took your roles away.', 'plain'],
  [{ kind: 'sign_in_disowned', ...home }, 'You said that a sign-in was not you.', 'warning'],
  [{ kind: 'device_forgotten', ...home }, 'A known browser was forgotten.', 'plain'],
  [{ kind: 'data_exported', ...home }, 'You downloaded your data.', 'plain'],
  [{ kind: 'deletion_requested', ...home }, 'You deleted your account.', 'warning'],
  [{ kind: 'deletion_requested' }, 'Your account was deleted by an operator.', 'warning'],
  [{ kind: 'deletion_withdrawn', ...home }, 'You kept your account after all.', 'good'],
  [{ kind: 'address_confirmed' }, 'You confirmed your e-mail address.', 'good'],
  [{ kind: 'address_lost' }, 'Another person proved that your e-mail address is theirs.', 'warning'],
  [{ kind: 'address_change_asked' }, 'You asked to change your e-mail address.', 'plain'],
  [{ kind: 'address_change_withdrawn' }, 'You kept your e-mail address after all.', 'plain'],
  [{ kind: 'address_changed' }, 'Your e-mail address was changed.', 'good'],
  [{ kind: 'password_changed' }, 'You changed your password.', 'good'],
  [{ kind: 'password_reset' }, 'Your password was reset with a link from your mail.', 'good'],
] satisfies [AuditEvent, string, string][]) {
  test(`a person reads "${sentence}"`, async () => {
    const [happening] = await happened(event)
    assert.deepEqual([happening?.sentence, happening?.tone], [sentence, tone])
  })
}

for (const [cause, { words, alarming }] of Object.entries(END_CAUSES)) {
  test(`a person reads why an app was disconnected: ${cause}`, async () => {
    const [happening] = await happened({ kind: 'family_ended', clientId: 'notes', cause })
    assert.equal(happening?.sentence, `Notes was disconnected: ${words}.`)
    assert.equal(happening.tone, alarming ? 'warning' : 'plain')
  })
}

test('a person reads where something happened, and which family it was about', async () => {
  const familyId = randomUUID()
  const [happening] = await happened({ kind: 'family_opened', clientId: 'notes', familyId, ...home })
  assert.equal(happening?.familyId, familyId)
  assert.deepEqual([happening.browser, happening.address], [home.browser, home.address])
  assert.deepEqual(happening.at, portal.clock())
})

test('a person reads their own events, newest first, a page at a time, none twice and none left out', async () => {
  const [id, other] = [randomUUID(), randomUUID()]
  for (let count = 0; count < 25; count++) {
    await insertAuditEvents(portal.storage.pool, [event(id, `${count}`), event(other, 'other')], portal.clock())
  }
  const seen: string[] = []
  for (let from: string | null = null; ;) {
    const page: ActivityEntry[] = await listActivityEntries(portal, id, 10, from)
    seen.push(...page.map((each) => each.browser as string))
    if (page.length < 10) break
    from = (page.at(-1) as ActivityEntry).id
  }
  assert.deepEqual(
    seen,
    Array.from({ length: 25 }, (_, index) => `${24 - index}`),
  )
})

test('many events are written at once, or none', async () => {
  const id = randomUUID()
  await insertAuditEvents(portal.storage.pool, [], portal.clock())
  const events = Array.from({ length: 1000 }, (_, index) => event(id, `${index}`))
  await insertAuditEvents(portal.storage.pool, events, portal.clock())
  assert.equal((await listActivityEntries(portal, id, 2000, null)).length, 1000)
  const broken = [event(id, 'good'), event('not a uuid', 'bad')]
  await assert.rejects(insertAuditEvents(portal.storage.pool, broken, portal.clock()))
  assert.equal((await listActivityEntries(portal, id, 2000, null)).length, 1000)
})

function event(identityId: string, browser: string): AuditEvent & { identityId: string } {
  return { kind: 'signed_in', identityId, browser }
}

async function happened(happening: AuditEvent): Promise<ActivityEntry[]> {
  const identityId = randomUUID()
  await insertAuditEvents(portal.storage.pool, [{ ...happening, identityId }], portal.clock())
  return listActivityEntries(portal, identityId, 10, null)
}
