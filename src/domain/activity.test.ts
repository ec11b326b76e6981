import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { insertAuditEvents } from '../storage/audit.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { connect, elsewhere, home } from '../testing/portal/connections.ts'
import { addIdentity } from '../testing/portal/identities.ts'
import { ada, grace } from '../testing/portal/people.ts'
import { openTestPortal, type TestPortal } from '../testing/portal/open-portal.ts'
import { createApp } from './apps/apps.ts'
import { englishTexts } from '../i18n/texts.ts'
import { type ActivityEntry, listActivityEntries, listActivityLines } from './activity.ts'
import type { AuditEvent } from './audit-events.ts'
import { END_CAUSES, type EndCause, endWords } from './endings/end-causes.ts'
import { endFamilies, endIdentitySessions } from './endings/endings.ts'
import { addSeconds } from './time.ts'

let portal: TestPortal
before(async () => {
  portal = await openTestPortal()
  await createApp(portal, 'notes', notesApp)
})
after(() => portal.close())

for (const [event, sentence, tone] of [
  [{ kind: 'registered' }, 'Your account was created.', 'good'],
  [{ kind: 'signed_in' }, 'You signed in.', 'good'],
  [{ kind: 'signed_in', detail: 'passkey' }, 'You signed in with a passkey.', 'good'],
  [
    { kind: 'signed_in', detail: 'password+app' },
    'You signed in with your password and your authenticator app.',
    'good',
  ],
  [{ kind: 'signed_in', detail: 'mail-link' }, 'You signed in with a link from your e-mail.', 'good'],
  [
    { kind: 'signed_in', detail: 'mail-link+recovery-code' },
    'You signed in with a link from your e-mail and a recovery code.',
    'good',
  ],
  [{ kind: 'signed_in', detail: 'unfamiliar' }, 'New browser: you signed in.', 'warning'],
  [
    { kind: 'signed_in', detail: 'unfamiliar password+recovery-code' },
    'New browser: you signed in with your password and a recovery code.',
    'warning',
  ],
  [{ kind: 'signed_in', detail: 'again password' }, 'You confirmed that it was you, with your password.', 'good'],
  [{ kind: 'signed_in', detail: 'again passkey' }, 'You confirmed that it was you, with a passkey.', 'good'],
  [{ kind: 'sign_in_refused' }, 'A sign-in attempt with a wrong password.', 'warning'],
  [{ kind: 'sign_in_refused', detail: 'known' }, 'A wrong password was entered in a browser that you use.', 'plain'],
  [
    { kind: 'second_factor_refused' },
    'A sign-in attempt with your password was stopped by two-step verification.',
    'warning',
  ],
  [
    { kind: 'second_factor_refused', detail: 'known' },
    'A wrong code or passkey was used in a browser that you use.',
    'plain',
  ],
  [
    { kind: 'confirmation_refused', detail: 'password-change' },
    'A wrong password was entered while you were changing your password.',
    'plain',
  ],
  [
    { kind: 'confirmation_refused', detail: 'identity' },
    'A wrong password was entered when you were asked to confirm that it was you.',
    'plain',
  ],
  [
    { kind: 'confirmation_refused', detail: 'second-factor' },
    'A wrong code or passkey was used when you were asked to confirm that it was you.',
    'plain',
  ],
  [{ kind: 'signed_out', cause: 'signed_out' }, 'You signed out.', 'plain'],
  [{ kind: 'session_ended', cause: 'ended_by_person' }, 'A browser was signed out: you ended it.', 'plain'],
  [
    { kind: 'session_ended', cause: 'other_sign_ins_ended' },
    'A browser was signed out: you signed out everywhere else.',
    'plain',
  ],
  [{ kind: 'session_ended' }, 'A browser was signed out: the reason is not known.', 'plain'],
  [{ kind: 'family_opened', clientId: 'notes' }, 'You signed in to Notes.', 'good'],
  [
    { kind: 'family_opened', clientId: 'notes', detail: 'silent' },
    'You were signed in to Notes automatically.',
    'good',
  ],
  [{ kind: 'family_opened', clientId: 'gone' }, 'You signed in to gone.', 'good'],
  [
    { kind: 'family_ended', clientId: 'notes', cause: 'toString' },
    'Signed out of Notes: the reason is not known.',
    'plain',
  ],
  [{ kind: 'second_factor_added', detail: 'passkey “Laptop”' }, 'The passkey “Laptop” was added.', 'good'],
  [
    { kind: 'second_factor_removed', detail: 'authenticator app “Phone”' },
    'The authenticator app “Phone” was removed.',
    'warning',
  ],
  [{ kind: 'identity_disabled' }, 'Your account was disabled by an administrator.', 'warning'],
  [{ kind: 'identity_enabled' }, 'Your account was enabled again by an administrator.', 'good'],
  [
    { kind: 'roles_changed', detail: 'editor, admin' },
    'An administrator changed your roles to: editor, admin.',
    'plain',
  ],
  [{ kind: 'roles_changed', detail: '' }, 'An administrator removed all of your roles.', 'plain'],
  [{ kind: 'sign_in_disowned', ...home }, 'You said that a sign-in was not you.', 'warning'],
  [{ kind: 'device_forgotten', ...home }, 'You removed a browser from your known browsers.', 'plain'],
  [{ kind: 'data_exported', ...home }, 'You downloaded your data.', 'plain'],
  [{ kind: 'deletion_requested', ...home }, 'You deleted your account.', 'warning'],
  [{ kind: 'deletion_requested' }, 'Your account was deleted by an administrator.', 'warning'],
  [{ kind: 'deletion_withdrawn', ...home }, 'You kept your account.', 'good'],
  [{ kind: 'address_confirmed' }, 'You confirmed your e-mail address.', 'good'],
  [{ kind: 'address_lost' }, 'Your e-mail address now belongs to another account, which has confirmed it.', 'warning'],
  [{ kind: 'address_change_asked' }, 'You asked to change your e-mail address.', 'plain'],
  [{ kind: 'address_change_withdrawn' }, 'You kept your e-mail address.', 'plain'],
  [{ kind: 'address_changed' }, 'Your e-mail address was changed.', 'good'],
  [{ kind: 'terms_accepted', detail: '2' }, 'You accepted the terms of use (version 2).', 'plain'],
  [{ kind: 'password_changed' }, 'You changed your password.', 'good'],
  [{ kind: 'password_reset' }, 'Your password was reset with a link from your e-mail.', 'good'],
] satisfies [AuditEvent, string, string][]) {
  test(`a person reads "${sentence}"`, async () => {
    const [entry] = await happened(event)
    assert.deepEqual([entry && said(entry), entry?.tone], [sentence, tone])
  })
}

for (const [cause, { alarming }] of Object.entries(END_CAUSES)) {
  test(`a person reads why an app was signed out: ${cause}`, async () => {
    const [entry] = await happened({ kind: 'family_ended', clientId: 'notes', cause })
    assert.equal(entry && said(entry), `Signed out of Notes: ${englishTexts().say(endWords(cause as EndCause, null))}.`)
    assert.equal(entry?.tone, alarming ? 'warning' : 'plain')
  })
}

test('a person reads where something happened, and which family it was about', async () => {
  const familyId = randomUUID()
  const [entry] = await happened({ kind: 'family_opened', clientId: 'notes', familyId, ...home })
  assert.equal(entry?.familyId, familyId)
  assert.deepEqual([entry.browser, entry.address], [home.browser, home.address])
  assert.deepEqual(entry.at, portal.clock())
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

test('equal events that follow one another are one line, with the first and the last of them', async () => {
  const id = randomUUID()
  const times: Date[] = []
  for (let count = 0; count < 9; count++) {
    times.push(at(count))
    await write(id, { kind: 'sign_in_refused', browser: 'curl', address: `192.0.2.${count}` }, at(count))
  }
  await write(id, { kind: 'signed_in', detail: 'password', ...home }, at(10))
  assert.deepEqual(await linesOf(id), [
    'You signed in with your password.',
    '9 × A sign-in attempt with a wrong password.',
  ])
  const { lines } = await listActivityLines(portal, id, 10, null)
  assert.deepEqual(
    lines[1]?.events.map((each) => each.at),
    times.toReversed(),
  )
})

test('equal events on two days, from two places of a sign-in, or with another between them are two lines', async () => {
  const id = randomUUID()
  await write(id, { kind: 'signed_in', detail: 'passkey', ...home }, at(0))
  await write(id, { kind: 'signed_in', detail: 'passkey', ...home }, at(86_400))
  await write(id, { kind: 'signed_in', detail: 'passkey', ...elsewhere }, at(86_401))
  await write(id, { kind: 'data_exported', ...home }, at(86_402))
  await write(id, { kind: 'signed_in', detail: 'passkey', ...elsewhere }, at(86_403))
  assert.equal((await linesOf(id)).length, 5)
})

test('what one act ends is a line for each app, however its events are mixed', async () => {
  const id = randomUUID()
  const ended = (clientId: string): AuditEvent => ({ kind: 'family_ended', clientId, cause: 'signed_out_everywhere' })
  for (const clientId of ['notes', 'photos', 'notes', 'photos', 'notes'])
    await write(id, { ...ended(clientId), familyId: randomUUID() }, at(0))
  await write(id, { ...ended('notes'), familyId: randomUUID() }, at(60))
  assert.deepEqual(await linesOf(id), [
    '4 × Signed out of Notes in 4 browsers: you signed out everywhere.',
    '2 × Signed out of photos in 2 browsers: you signed out everywhere.',
  ])
})

test('browsers are counted, not the families in them', async () => {
  const identityId = await addIdentity(portal, ada)
  const one = await connect(portal, identityId, 'notes')
  const { identitySessionId } = one
  await connect(portal, identityId, 'notes', { identitySessionId })
  const other = await connect(portal, identityId, 'notes')
  assert.notEqual(other.identitySessionId, identitySessionId)
  portal.clock.advance(60)
  await endFamilies(portal, { identityId, clientId: 'notes' }, 'disconnected', home)
  const { lines } = await listActivityLines(portal, identityId, 10, null)
  assert.equal(lines[0] && said(lines[0]), 'Signed out of Notes in 2 browsers: you removed the app.')
  assert.deepEqual(lines[0]?.events.length, 3)
})

test('a wrong password is the own one in a known browser, and before a sign-in from the same browser and IP address', async () => {
  const attempt = (clientInfo: object): AuditEvent => ({ kind: 'sign_in_refused', ...clientInfo })
  const own = 'A wrong password was entered in a browser that you use.'
  const foreign = 'A sign-in attempt with a wrong password.'
  for (const [clientInfo, later, expected] of [
    [home, 3600, own],
    [home, 3601, foreign],
    [{ ...home, address: '203.0.113.9' }, 5, foreign],
    [{ ...home, browser: 'curl' }, 5, foreign],
    [{}, 5, foreign],
  ] as const) {
    const id = randomUUID()
    await write(id, attempt(clientInfo), at(0))
    await write(id, { kind: 'signed_in', detail: 'password', ...home }, at(later))
    assert.equal((await linesOf(id))[1], expected)
  }
  const id = randomUUID()
  await write(id, { kind: 'signed_in', detail: 'password', ...home }, at(0))
  await write(id, attempt(home), at(5))
  assert.equal((await linesOf(id))[0], foreign)
  await write(id, { kind: 'second_factor_refused', ...home }, at(10))
  await write(id, { kind: 'signed_in', detail: 'password+app', ...home }, at(15))
  assert.deepEqual((await linesOf(id)).slice(1), [
    'A wrong code or passkey was used in a browser that you use.',
    own,
    'You signed in with your password.',
  ])
})

test('renewals in the background are not listed, and are in the export', async () => {
  const id = randomUUID()
  await write(id, { kind: 'family_opened', clientId: 'notes', detail: 'silent' }, at(0))
  for (let count = 1; count < 5; count++) {
    await write(id, { kind: 'family_ended', clientId: 'notes', cause: 'replaced' }, at(count))
    await write(id, { kind: 'family_opened', clientId: 'notes', detail: 'renewal' }, at(count))
  }
  assert.deepEqual(await linesOf(id), ['You were signed in to Notes automatically.'])
  assert.equal((await listActivityEntries(portal, id, 100, null)).length, 9)
})

test('a page ends between two lines and between two acts, and no event is on two pages or on none', async () => {
  const id = randomUUID()
  const kinds = ['data_exported', 'device_forgotten', 'password_changed', 'recovery_codes_made'] as const
  for (let count = 0; count < 8; count++) {
    const kind = kinds[count % kinds.length] as (typeof kinds)[number]
    for (let times = 0; times <= count; times++) await write(id, { kind }, at(count))
  }
  const lines: number[] = []
  for (let before: string | null = null; ;) {
    const page = await listActivityLines(portal, id, 3, before)
    lines.push(...page.lines.map(({ events }) => events.length))
    before = page.next
    if (before === null) break
    assert.equal(page.lines.length, 3)
  }
  assert.deepEqual(lines, [8, 7, 6, 5, 4, 3, 2, 1])

  const act = randomUUID()
  for (const clientId of ['a', 'b', 'a', 'b', 'c', 'a'])
    await write(act, { kind: 'family_ended', clientId, cause: 'signed_out' }, at(0))
  const page = await listActivityLines(portal, act, 1, null)
  assert.deepEqual([page.lines.map(({ events }) => events.length), page.next], [[3, 1, 2], null])
})

test('a line of more events than one page reads goes on in the next one', async () => {
  const id = randomUUID()
  const events = Array.from({ length: 4500 }, () => ({ kind: 'sign_in_refused' as const, identityId: id }))
  await insertAuditEvents(portal.storage.pool, events, portal.clock())
  const counts: number[] = []
  for (let before: string | null = null; ;) {
    const page = await listActivityLines(portal, id, 50, before)
    counts.push(...page.lines.map(({ events: each }) => each.length))
    before = page.next
    if (before === null) break
  }
  assert.deepEqual(counts, [2000, 2000, 500])
})

test("a line leads to its family or browser while there is a page of it, and to no other identity's", async () => {
  const identityId = await addIdentity(portal, grace)
  const { familyId, identitySessionId } = await connect(portal, identityId, 'notes')
  await endIdentitySessions(portal, { identityId }, 'ended_by_person', elsewhere)
  const { lines } = await listActivityLines(portal, identityId, 10, null)
  assert.deepEqual(
    lines.map((line) => [said(line), line.events[0]?.familyId, line.events[0]?.identitySessionId]),
    [
      ['Signed out of Notes: the browser was signed out.', familyId, null],
      ['Firefox was signed out: you ended it.', null, identitySessionId],
      ['You signed in to Notes.', familyId, null],
      ['You signed in with your password.', null, identitySessionId],
      ['Your account was created.', null, null],
    ],
  )
  const other = randomUUID()
  await write(other, { kind: 'signed_in', identitySessionId }, at(0))
  await write(other, { kind: 'family_opened', familyId }, at(0))
  const foreign = (await listActivityLines(portal, other, 10, null)).lines
  assert.deepEqual(
    foreign.flatMap(({ events }) => events).map((each) => each.familyId ?? each.identitySessionId),
    [null, null],
  )
})

function event(identityId: string, browser: string): AuditEvent & { identityId: string } {
  return { kind: 'signed_in', identityId, browser }
}

async function happened(happening: AuditEvent): Promise<ActivityEntry[]> {
  const identityId = randomUUID()
  await insertAuditEvents(portal.storage.pool, [{ ...happening, identityId }], portal.clock())
  return listActivityEntries(portal, identityId, 10, null)
}

async function write(identityId: string, happening: AuditEvent, when: Date): Promise<void> {
  await insertAuditEvents(portal.storage.pool, [{ ...happening, identityId }], when)
}

/** Seconds after a midday. */
function at(seconds: number): Date {
  return addSeconds(new Date('2026-11-21T12:00:00Z'), seconds)
}

function said({ sentence }: Pick<ActivityEntry, 'sentence'>): string {
  return englishTexts().say(sentence)
}

/** The lines of the activity page, newest first, those of several events with their number. */
async function linesOf(identityId: string): Promise<string[]> {
  const { lines } = await listActivityLines(portal, identityId, 100, null)
  return lines.map((line) => `${line.events.length === 1 ? '' : `${line.events.length} × `}${said(line)}`)
}
