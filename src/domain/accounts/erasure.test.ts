import assert from 'node:assert/strict'
import { after, before, mock, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { transaction } from '../../storage/postgres.ts'
import { notesApp } from '../../testing/portal/apps.ts'
import { connect, elsewhere, home } from '../../testing/portal/connections.ts'
import { openTestPortal, type TestPortal } from '../../testing/portal/open-portal.ts'
import { queuedMails } from '../../testing/mail/mails.ts'
import { startTestServer } from '../../testing/portal/server.ts'
import { createApp } from '../apps/apps.ts'
import { deleteAccount, keepAccount } from './deletions.ts'
import { eraseAccount, eraseDeletedAccounts } from './erasure.ts'
import { endFamilies } from '../endings/endings.ts'
import { disableIdentity, findIdentity, register } from '../identities/identities.ts'
import { openIdentitySession } from '../sign-in/identity-sessions.ts'
import { makeMailLink } from '../identities/mail-links.ts'
import { deliverNotification, type NotificationAnswer } from '../../backchannel/delivery.ts'
import { listNotifications } from '../endings/notifications.ts'

const DAY = 86_400
const REMARKABLE = { browser: 'Netscape of somebody 4.08', address: '198.51.100.77' }

let portal: TestPortal
before(async () => {
  portal = await openTestPortal()
  await createApp(portal, 'notes', notesApp)
})
after(() => portal.close())

async function addPerson(username: string): Promise<string> {
  const registration = { username, email: `${username}@example.test`, password: 'a person who leaves again' }
  const outcome = await register(portal, registration, REMARKABLE)
  return outcome.kind === 'registered' ? outcome.identity.id : assert.fail(JSON.stringify(outcome.problems))
}

/** Every value of every row of the portal's own tables, and of the queue. */
async function dump(): Promise<string> {
  const { pool } = portal.storage
  const tables = await pool.query<{ name: string }>(
    `SELECT format('%I.%I', table_schema, table_name) AS name FROM information_schema.tables
     WHERE table_schema IN ('public', 'queue') AND table_type = 'BASE TABLE'`,
  )
  const dumped: string[] = []
  for (const { name } of tables.rows) {
    const { rows } = await pool.query<{ row: string }>(`SELECT row_to_json(t)::text AS row FROM ${name} t`)
    dumped.push(...rows.map(({ row }) => `${name} ${row}`))
  }
  return dumped.join('\n')
}

test('after erasure no personal data remains, but what happened, when, and to which app does', async () => {
  const id = await addPerson('vanisher')
  const other = await addPerson('remainer')
  const session = (await openIdentitySession(
    portal,
    { identityId: id, amr: ['pwd'] },
    REMARKABLE,
    null,
    Buffer.alloc(32, 7),
  )) as string
  const notes = await connect(portal, id, 'notes', { identitySessionId: session })
  const kept = await connect(portal, other, 'notes')
  await endFamilies(portal, { id: notes.familyId }, 'disconnected', REMARKABLE)
  await transaction(portal.storage.pool, (db) =>
    makeMailLink(portal, db, 'verify-address', { identityId: id, email: 'vanisher@example.test' }),
  )
  const before = await dump()
  for (const trace of ['vanisher', id, notes.familyId, REMARKABLE.browser]) assert.ok(before.includes(trace), trace)
  await deleteAccount(portal, id, REMARKABLE)
  portal.clock.advance(14 * DAY)
  assert.equal(await eraseDeletedAccounts(portal), 1)

  // What is left to say is said by one last mail, and forgotten by the queue when it has left, like the one before.
  const mails = await queuedMails(portal, 'erased')
  assert.deepEqual(
    mails.map(({ email, username }) => [email, username]),
    [['vanisher@example.test', 'vanisher']],
  )
  await portal.storage.pool.query(`DELETE FROM queue.job WHERE name = 'mail'`)
  const dumped = await dump()
  for (const trace of ['vanisher', id, notes.familyId, session]) assert.equal(dumped.includes(trace), false, trace)
  assert.equal(dumped.split(REMARKABLE.browser).length - 1, 1, 'the registration of the one who stays')
  const { rows } = await portal.storage.pool.query(
    "SELECT kind, client_id, cause FROM audit_events WHERE identity_id IS NULL AND at IS NOT NULL AND kind <> 'app_created' ORDER BY id",
  )
  assert.deepEqual(
    rows.map((row) =>
      Object.values(row as object)
        .join(' ')
        .trim(),
    ),
    [
      'registered',
      'signed_in',
      'family_opened notes',
      'family_ended notes disconnected',
      'deletion_requested',
      'session_ended  identity_deleted',
    ],
  )
  assert.ok(dumped.includes(kept.familyId))
  assert.equal((await findIdentity(portal, other))?.username, 'remainer')
})

test('an account is erased when its grace is over, and not a second before', async () => {
  const id = await addPerson('patient')
  await deleteAccount(portal, id, home)
  portal.clock.advance(14 * DAY - 1)
  assert.equal(await eraseDeletedAccounts(portal), 0)
  assert.equal(await eraseAccount(portal, id), false)
  assert.notEqual(await findIdentity(portal, id), null)
  portal.clock.advance(1)
  assert.equal(await keepAccount(portal, { identityId: id, amr: [] }, home), false)
  assert.equal(await eraseDeletedAccounts(portal), 1)
  assert.equal(await findIdentity(portal, id), null)
})

test('an account that was kept, or never deleted, is not erased', async () => {
  const [kept, untouched] = [await addPerson('keeper'), await addPerson('untouched')]
  await deleteAccount(portal, kept, home)
  assert.equal(await keepAccount(portal, { identityId: kept, amr: [] }, elsewhere), true)
  assert.equal(await keepAccount(portal, { identityId: kept, amr: [] }, elsewhere), false)
  portal.clock.advance(20 * DAY)
  assert.equal(await eraseDeletedAccounts(portal), 0)
  for (const id of [kept, untouched]) assert.equal(await eraseAccount(portal, id), false)
})

test('a deleted account is erased also when it is disabled', async () => {
  const id = await addPerson('disabled')
  await deleteAccount(portal, id, home)
  await disableIdentity(portal, id)
  portal.clock.advance(14 * DAY)
  assert.equal(await eraseDeletedAccounts(portal), 1)
})

test('of processes that erase at once each account is erased by one, with one mail', async () => {
  const ids = await Promise.all(Array.from({ length: 6 }, async (_, number) => addPerson(`crowd${number}`)))
  for (const id of ids) await deleteAccount(portal, id, home)
  portal.clock.advance(14 * DAY)
  const counts = await Promise.all(Array.from({ length: 4 }, async () => eraseDeletedAccounts(portal)))
  assert.equal(
    counts.reduce((sum, count) => sum + count),
    6,
  )
  const told = (await queuedMails(portal, 'erased')).map(({ username }) => username)
  assert.deepEqual(
    told.filter((name) => name.startsWith('crowd')).toSorted(),
    ids.map((_, number) => `crowd${number}`),
  )
})

test('erasure skips locked accounts, and erases them the next time', async () => {
  const id = await addPerson('held')
  await deleteAccount(portal, id, home)
  portal.clock.advance(14 * DAY)
  await transaction(portal.storage.pool, async (db) => {
    await db.query('SELECT 1 FROM identities WHERE id = $1 FOR SHARE', [id])
    assert.equal(await eraseDeletedAccounts(portal), 0)
  })
  assert.equal(await eraseDeletedAccounts(portal), 1)
})

test('an account that cannot be erased keeps no other', async () => {
  const [stuck, next] = [await addPerson('stuck'), await addPerson('next')]
  const { pool } = portal.storage
  for (const id of [stuck, next]) await deleteAccount(portal, id, home)
  await pool.query('CREATE TABLE evidence (identity_id uuid REFERENCES identities (id))')
  await pool.query('INSERT INTO evidence VALUES ($1)', [stuck])
  portal.clock.advance(14 * DAY)
  await assert.rejects(eraseDeletedAccounts(portal), /some accounts could not be erased/)
  assert.equal((await findIdentity(portal, stuck))?.username, 'stuck')
  assert.equal(await findIdentity(portal, next), null)
  await pool.query('DROP TABLE evidence')
  assert.equal(await eraseDeletedAccounts(portal), 1)
})

test('a long life is erased whole, in statements that are short', async () => {
  const id = await addPerson('historian')
  const notes = await connect(portal, id, 'notes')
  await portal.storage.pool.query(
    `INSERT INTO audit_events (at, kind, identity_id, address) SELECT $1, 'signed_out', $2, '198.51.100.78' FROM generate_series(1, 9000)`,
    [portal.clock(), id],
  )
  await portal.storage.pool.query(
    `INSERT INTO families (id, client_id, identity_id, current_hash, scope, amr, auth_time, created_at, last_used_at, idle_expires_at, expires_at, review_at, lifetime,
       browser, address, ended_at, end_cause)
     SELECT gen_random_uuid(), client_id, identity_id, current_hash, scope, amr, auth_time, created_at, last_used_at, idle_expires_at, expires_at, review_at, lifetime,
       browser, address, $2, 'disconnected' FROM families, generate_series(1, 5000) WHERE id = $1`,
    [notes.familyId, portal.clock()],
  )
  await deleteAccount(portal, id, home)
  portal.clock.advance(14 * DAY)
  assert.equal(await eraseDeletedAccounts(portal), 1)
  const left = await portal.storage.pool.query(
    `SELECT 1 FROM audit_events WHERE identity_id = $1 OR address = '198.51.100.78' UNION ALL SELECT 1 FROM families WHERE identity_id = $1`,
    [id],
  )
  assert.equal(left.rowCount, 0)
})

test('a portal that runs erases by itself, every minute', async () => {
  mock.timers.enable({ apis: ['setInterval'] })
  const server = await startTestServer({ env: { DELETION_GRACE: '0' } })
  try {
    const person = { username: 'brief', email: 'brief@example.test', password: 'a person who leaves again' }
    const id = await server.addIdentity(person)
    await deleteAccount(server.services, id, home)
    assert.equal((await queuedMails(server.services, 'deletion-requested')).length, 0)
    mock.timers.tick(60_000)
    while ((await findIdentity(server.services, id)) !== null) await sleep(10)
  } finally {
    mock.timers.reset()
    await server.close()
  }
})

test('waiting notifications about an erased user are still sent, and then deleted', async () => {
  await createApp(portal, 'letters', { ...notesApp, backchannelLogoutUri: 'https://letters.example.test/logout' })
  const id = await addPerson('sender')
  const told: string[] = []
  const tell = async (notice: string, answer: NotificationAnswer) => {
    const send = async ({ familyId }: { familyId: string }) => {
      told.push(familyId)
      return answer
    }
    return (await deliverNotification(portal, send, { notice }, false)).kind
  }
  const left = async () => listNotifications(portal, { clientId: 'letters' }, 10)
  const families = [await connect(portal, id, 'letters'), await connect(portal, id, 'letters')]
  await endFamilies(portal, { id: families[0]?.familyId as string }, 'signed_out', home)
  const [first] = await left()
  assert.equal(await tell(first?.id as string, { kind: 'accepted' }), 'done')
  await deleteAccount(portal, id, null, 0)
  assert.equal((await left()).length, 2)

  assert.equal(await eraseAccount(portal, id), true)
  const [notification, ...others] = await left()
  assert.deepEqual([notification?.familyId, others], [families[1]?.familyId, []])
  assert.equal(await tell(notification?.id as string, { kind: 'unreachable', problem: 'is away' }), 'waiting')
  assert.equal((await left()).length, 1)
  assert.equal(await tell(notification?.id as string, { kind: 'accepted' }), 'done')
  assert.deepEqual(await left(), [])
  assert.equal(told.length, 3)
})

test('an app that answers while an account is being erased leaves nothing behind', async () => {
  const id = await addPerson('hurried')
  const { familyId } = await connect(portal, id, 'letters')
  await endFamilies(portal, { id: familyId }, 'signed_out', home)
  const [notification] = await listNotifications(portal, { familyId }, 1)
  await deleteAccount(portal, id, null, 0)
  let erased: Promise<boolean> | undefined
  const delivered = await transaction(portal.storage.pool, async (db) => {
    // The erasure has the identity, and waits for this row of it.
    await db.query('SELECT FROM families WHERE id = $1 FOR UPDATE', [familyId])
    const send = async (): Promise<NotificationAnswer> => {
      erased = eraseAccount(portal, id)
      await waitForLocks(1)
      return { kind: 'accepted' }
    }
    const delivery = deliverNotification(portal, send, { notice: notification?.id as string }, false)
    // What the app has answered is written down after the erasure, which it waits for.
    await waitForLocks(2)
    return [delivery] as const
  })
  await delivered[0]
  assert.equal(await erased, true)
  assert.deepEqual(await listNotifications(portal, { familyId }, 1), [])
})

/** Not asked in a transaction, which sees no connection that was opened after it looked first. */
async function waitForLocks(count: number): Promise<void> {
  const waiting = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
  while (((await portal.storage.pool.query(waiting)).rowCount ?? 0) < count) await sleep(10)
}
