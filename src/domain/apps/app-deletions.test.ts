import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { notesApp } from '../../testing/portal/apps.ts'
import { connect, familyRow, multiply, refresh, refusalIn } from '../../testing/portal/connections.ts'
import { addIdentity } from '../../testing/portal/identities.ts'
import { ada, grace } from '../../testing/portal/people.ts'
import { openTestPortal, type TestPortal } from '../../testing/portal/open-portal.ts'
import { Refused } from '../refused.ts'
import { clearDeletedApps } from './app-deletions.ts'
import { addAppRole, changeAppRoles } from './app-roles.ts'
import {
  type AppRow,
  changeApp,
  createApp,
  deleteApp,
  enableApp,
  endFamiliesOfDisabledApps,
  findApp,
  findRegisteredApp,
} from './apps.ts'

const HOUR = 3600

let portal: TestPortal
let adaId: string
let graceId: string

before(async () => {
  portal = await openTestPortal()
  adaId = await addIdentity(portal, ada)
  graceId = await addIdentity(portal, grace)
  await createApp(portal, 'other', notesApp)
})
after(() => portal.close())

test('a deleted app is gone for operators and users at once, and its row goes when its last token has expired', async () => {
  const app = await make('gone')
  await addAppRole(portal, 'gone', 'editor')
  await changeAppRoles(portal, adaId, 'gone', ['editor'])
  const connection = await connect(portal, adaId, 'gone')
  const other = await connect(portal, graceId, 'other')
  await deleteApp(portal, app)

  assert.equal(await findRegisteredApp(portal, 'gone'), null)
  assert.equal((await familyRow(portal, connection)).endCause, 'app_deleted')
  assert.equal(refusalIn(await refresh(portal, connection)).reason, 'app_disabled')
  const row = (await findApp(portal, 'gone')) as AppRow
  assert.ok(row.revokedBefore && row.revokedBefore > portal.clock())
  await refused(() => createApp(portal, 'gone', notesApp), 'conflict', /free again/)
  await refused(() => changeAppRoles(portal, adaId, 'gone', ['editor']), 'invalid', /no app gone/)

  portal.clock.advance(HOUR)
  assert.equal(await clearDeletedApps(portal), 0)
  portal.clock.advance(301)
  assert.equal(await clearDeletedApps(portal), 1)
  assert.equal(await findApp(portal, 'gone'), null)
  assert.equal(await rowsOf('families', 'gone'), 0)
  assert.equal((await familyRow(portal, other)).endedAt, null)

  // A new app of this name must not let in users by their roles in the one before.
  const { rows } = await portal.storage.pool.query<{ app_roles: object }>(
    'SELECT app_roles FROM identities WHERE id = $1',
    [adaId],
  )
  assert.deepEqual(rows[0]?.app_roles, {})
  await make('gone')
})

test('a deletion that was interrupted is finished', async () => {
  const app = await make('stopped')
  const connection = await connect(portal, adaId, 'stopped')
  await multiply(portal, connection, 600)
  // As if the process had died after the first transaction.
  await portal.storage.pool.query(
    'UPDATE apps SET disabled_at = $2, deleted_at = $2, revoked_before = $2 WHERE client_id = $1',
    [app.clientId, portal.clock()],
  )
  portal.clock.advance(2 * HOUR)
  assert.equal(await clearDeletedApps(portal), 0)
  assert.equal(await endFamiliesOfDisabledApps(portal), 601)
  assert.equal((await familyRow(portal, connection)).endCause, 'app_deleted')
  assert.equal(await clearDeletedApps(portal, AbortSignal.abort()), 0)
  assert.ok(await findApp(portal, 'stopped'))
  assert.equal(await clearDeletedApps(portal), 1)
  assert.equal(await rowsOf('families', 'stopped'), 0)
})

test('the row stays for as long as the app has to be notified of the ends', async () => {
  const app = await make('told', { backchannelLogoutUri: 'https://told.example.test/logout' })
  await connect(portal, adaId, 'told')
  await deleteApp(portal, app)
  portal.clock.advance(2 * HOUR)
  assert.equal(await clearDeletedApps(portal), 0)
  await portal.storage.pool.query("UPDATE notices SET given_up_at = now() WHERE client_id = 'told'")
  assert.equal(await clearDeletedApps(portal), 1)
})

test('of deletions, changes and enablings that race, none brings a deleted app back', async () => {
  const app = await make('raced')
  const outcomes = await Promise.allSettled([
    deleteApp(portal, app),
    ...Array.from({ length: 5 }, async () => deleteApp(portal, app)),
    ...Array.from({ length: 5 }, async () => enableApp(portal, app)),
    ...Array.from({ length: 5 }, async () => changeApp(portal, app, { description: 'changed' })),
  ])
  const failed = outcomes.filter((outcome) => outcome.status === 'rejected')
  for (const { reason } of failed) assert.ok(reason instanceof Refused && reason.code === 'not_found', String(reason))
  const deleted = outcomes.slice(0, 6).filter(({ status }) => status === 'fulfilled')
  assert.equal(deleted.length, 1)
  const row = (await findApp(portal, 'raced')) as AppRow
  assert.ok(row.disabledAt !== null && row.deletedAt !== null)
  const { rows } = await portal.storage.pool.query(
    "SELECT FROM audit_events WHERE kind = 'app_deleted' AND client_id = 'raced'",
  )
  assert.equal(rows.length, 1)
})

async function make(clientId: string, settings = {}): Promise<AppRow> {
  return (await createApp(portal, clientId, { ...notesApp, ...settings })).app
}

async function rowsOf(table: string, clientId: string): Promise<number> {
  const { rowCount } = await portal.storage.pool.query(`SELECT FROM ${table} WHERE client_id = $1`, [clientId])
  return rowCount ?? 0
}

async function refused(act: () => Promise<unknown>, code: string, words: RegExp): Promise<void> {
  await assert.rejects(
    act,
    (error: unknown) => error instanceof Refused && error.code === code && words.test(error.message),
  )
}
