import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { PgBoss } from 'pg-boss'
import { endFamilies } from '../domain/endings/endings.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { connect, home } from '../testing/portal/connections.ts'
import { type Running, startGatehouse } from '../testing/portal/gatehouse.ts'
import { ada } from '../testing/portal/people.ts'
import { TEST_SECRET } from '../testing/portal/open-portal.ts'
import { type Receiver, startReceiver } from '../testing/network/receiver.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

let server: TestServer
let receiver: Receiver
let adaId: string

before(async () => {
  server = await startTestServer({ env: { IN_PROCESS_WORKER: 'false' } })
  adaId = await server.addIdentity(ada)
  receiver = await startReceiver({ issuer: server.url, clientId: 'notes' })
  await server.addApp('notes', { ...notesApp, backchannelLogoutUri: receiver.uri })
})
after(async () => {
  await receiver.close()
  await server.close()
})

async function startWorker(): Promise<Running> {
  const worker = startGatehouse(['worker'], {
    PUBLIC_URL: server.url,
    DATABASE_URL: server.database.databaseUrl,
    GATEHOUSE_SECRET: TEST_SECRET,
  })
  await worker.says('Gatehouse sends what is queued\n')
  return worker
}

async function endOne(): Promise<string> {
  const { familyId } = await connect(server.services, adaId, 'notes')
  await endFamilies(server.services, { id: familyId }, 'ended_by_person', home)
  return familyId
}

test('a portal that leaves it to a worker tells apps nothing, and the worker does', async () => {
  const familyId = await endOne()
  // Twice as long as a portal takes that does it itself.
  await sleep(1000)
  assert.deepEqual(receiver.attempts, [])
  const worker = await startWorker()
  const [told] = await receiver.waitForLogouts(1)
  assert.equal(told?.fam, familyId)

  receiver.answer = { afterMs: 1000 }
  await endOne()
  await receiver.waitForAttempts(2)
  worker.child.kill('SIGTERM')
  worker.child.kill('SIGINT')
  const { code, stdout, stderr } = await worker.finished
  assert.deepEqual([code, stderr], [0, ''])
  assert.match(stdout, /"msg":"stopping"/)
  // What it had in hand when it was stopped it has finished.
  const { rows } = await server.services.storage.pool.query(
    `SELECT (SELECT count(*)::int FROM notices WHERE confirmed_at IS NULL) AS notices,
       (SELECT count(*)::int FROM queue.job WHERE name = 'notices' AND state <> 'completed') AS jobs`,
  )
  assert.deepEqual(rows, [{ notices: 0, jobs: 0 }])
})

test('what a worker had in hand when it was killed is delivered by the next, under the same id', async () => {
  const { pool } = server.services.storage
  receiver.answer = 'never'
  const before = receiver.attempts.length
  const worker = await startWorker()
  const familyId = await endOne()
  await receiver.waitForAttempts(before + 1)
  await worker.kill()
  receiver.answer = 'right'
  const next = await startWorker()

  // Long enough for a worker to have done it.
  await pool.query(`UPDATE queue.job SET started_on = started_on - interval '1 minute' WHERE state = 'active'`)
  const executeSql = async (text: string, values?: unknown[]) => pool.query(text, values)
  const boss = new PgBoss({
    db: { executeSql },
    schema: 'queue',
    supervise: false,
    schedule: false,
    monitorIntervalSeconds: 1,
  })
  await boss.start()
  while (receiver.attempts.length === before + 1) {
    await boss.supervise('notices')
    await sleep(100)
  }
  await boss.stop({ close: false })

  const [first, second] = receiver.attempts.slice(before)
  assert.deepEqual([first?.claims['fam'], second?.claims['fam']], [familyId, familyId])
  assert.equal(second?.claims.jti, first?.claims.jti)
  next.child.kill('SIGTERM')
  assert.equal((await next.finished).code, 0)
  assert.equal(receiver.attempts.length, before + 2)
})

test('a worker without its database says so once, and ends with 1', async () => {
  const env = { DATABASE_URL: 'postgresql://user:CANARY@127.0.0.1:1/db', GATEHOUSE_SECRET: TEST_SECRET }
  const { code, stdout, stderr } = await startGatehouse(['worker'], env).finished
  assert.deepEqual([code, stdout], [1, ''])
  assert.match(stderr, /^gatehouse: [^\n]*ECONNREFUSED[^\n]*\n$/)
  assert.doesNotMatch(stderr, /CANARY/)
})
