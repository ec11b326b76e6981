import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { endFamilies } from '../domain/endings/endings.ts'
import { listNotifications } from '../domain/endings/notifications.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { connect, home } from '../testing/portal/connections.ts'
import { runCommand } from '../testing/portal/commands.ts'
import { type Finished, printed } from '../testing/portal/gatehouse.ts'
import { ada } from '../testing/portal/people.ts'
import { TEST_SECRET } from '../testing/portal/open-portal.ts'
import { type Receiver, startReceiver } from '../testing/network/receiver.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

let server: TestServer
let receiver: Receiver
let families: string[]

before(async () => {
  server = await startTestServer()
  receiver = await startReceiver({ issuer: server.url, clientId: 'notes' })
  const adaId = await server.addIdentity(ada)
  await server.addApp('notes', { ...notesApp, backchannelLogoutUri: receiver.uri })
  families = []
  for (let number = 0; number < 4; number++) {
    const { familyId } = await connect(server.services, adaId, 'notes')
    await endFamilies(server.services, { id: familyId }, 'signed_out', home)
    families.push(familyId)
  }
  await receiver.waitForLogouts(4)
})
after(async () => {
  await receiver.close()
  await server.close()
})

function notice(args: string[]): Promise<Finished> {
  return runCommand(['notification', ...args], {
    DATABASE_URL: server.database.databaseUrl,
    GATEHOUSE_SECRET: TEST_SECRET,
  })
}

async function list(...args: string[]): Promise<Record<string, unknown>[]> {
  return printed(await notice(['list', ...args, '--json']))
}

/** As after three days without an answer. */
async function giveUp(count: number): Promise<void> {
  await server.services.storage.pool.query(
    `UPDATE notices SET confirmed_at = NULL, given_up_at = now(), attempts = 80, problem = 'its address refuses connections'
     WHERE family_id = ANY ($1)`,
    [families.slice(0, count)],
  )
}

test('an operator sees what apps were told, newest first, and finds what was given up', async () => {
  await giveUp(2)
  const all = await list()
  assert.deepEqual(
    all.map(({ family, state }) => [family, state]),
    families.toReversed().map((family, index) => [family, index < 2 ? 'confirmed' : 'given-up']),
  )
  const { id, happened, last_attempt: _, ...rest } = all.at(-1) as Record<string, unknown>
  const { rows: ended } = await server.services.storage.pool.query<{ at: Date }>(
    'SELECT ended_at AS at FROM families WHERE id = $1',
    [families[0]],
  )
  assert.deepEqual(new Date(happened as string), ended[0]?.at)
  assert.deepEqual(rest, {
    app: 'notes',
    kind: 'logout',
    family: families[0],
    cause: 'signed_out',
    attempts: 80,
    state: 'given-up',
    problem: 'its address refuses connections',
  })
  const [newest, table] = await Promise.all([
    list('--app', 'notes', '--state', 'given-up', '--limit', '1'),
    notice(['list', '--family', families[0] as string]),
  ])
  assert.deepEqual(newest, all.slice(2, 3))
  const [head, row, ...rows] = table.stdout.trimEnd().split('\n')
  assert.match(head as string, /^id +app +kind +family +cause +happened +attempts +state +problem$/)
  assert.ok((row as string).startsWith(id as string))
  assert.deepEqual(rows, [])
})

test('what was given up is told again under the same id: one, or all of an app', async () => {
  await giveUp(3)
  const notices = await listNotifications(server.services, { clientId: 'notes' }, 4)
  const [confirmed = '', ...ids] = notices.map(({ id }) => id)
  const first = printed(await notice(['resend', ids[0] as string, confirmed, '--json']))
  assert.deepEqual(first, { resent: 1, not_given_up: [confirmed] })
  assert.equal((await receiver.waitForLogouts(5)).at(-1)?.jti, ids[0])
  assert.equal((await notice(['resend', '--app', 'notes'])).stdout, 'resent  2\n')
  const told = await receiver.waitForLogouts(7)
  assert.deepEqual(
    told.slice(5).map(({ fam }) => fam),
    families.slice(0, 2),
  )
})

test('what cannot be is said on one line', async () => {
  const [nothing, nonsense, limit] = await Promise.all([
    notice(['resend']),
    notice(['resend', 'nonsense']),
    notice(['list', '--limit', '0']),
  ])
  assert.deepEqual([nothing.code, nothing.stderr], [1, 'name either notifications or an --app\n'])
  assert.match(nonsense.stderr, /^error: .*It is not an id\./)
  assert.match(limit.stderr, /^error: .*It must be a whole number\./)
})
