import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { Writable } from 'node:stream'
import { after, before, beforeEach, test } from 'node:test'
import { Webhook } from 'standardwebhooks'
import { streamAuditLog } from '../domain/audit/streaming.ts'
import { createLogger } from '../logger.ts'
import { insertAuditEvents } from '../storage/audit.ts'
import { createClock } from '../testing/portal/clock.ts'
import { startGatehouse } from '../testing/portal/gatehouse.ts'
import { openTestPortal, TEST_SECRET, type TestPortal } from '../testing/portal/open-portal.ts'
import { serviceAddress } from '../testing/services/addresses.ts'
import { openAuditReceivers } from './audit-streams.ts'

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`

interface Arrived {
  id: string
  details: string[]
}

let portal: TestPortal
let port = 0
let answer: (response: ServerResponse) => void
let arrived: Arrived[] = []
const arrivals = new EventEmitter()
const server = createServer((request, response) => void receive(request, response))

async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await text(request)
  const header = (name: string) => String(request.headers[name])
  const id = header('webhook-id')
  const signed = new Webhook(SECRET).sign(id, new Date(Number(header('webhook-timestamp')) * 1000), body)
  assert.equal(header('webhook-signature'), signed)
  const { type, data } = JSON.parse(body) as { type: string; data: { events: { detail: string }[] } }
  assert.equal(type, 'audit.events')
  arrived.push({ id, details: data.events.map(({ detail }) => detail) })
  arrivals.emit('arrived')
  answer(response)
}

before(async () => {
  portal = await openTestPortal()
  await listen()
})
after(async () => {
  await stop()
  await portal.close()
})

async function listen(): Promise<void> {
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as AddressInfo).port
}

async function stop(): Promise<void> {
  server.close()
  server.closeAllConnections()
  await once(server, 'close')
}

const accept = (response: ServerResponse) => void response.writeHead(204).end()

beforeEach(async () => {
  answer = accept
  await portal.storage.pool.query('TRUNCATE audit_streams')
  // The stream begins with what happens from here on.
  await happened('before it was switched on')
  await send()
  arrived = []
})

async function happened(...details: string[]): Promise<void> {
  await insertAuditEvents(
    portal.storage.pool,
    details.map((detail) => ({ kind: 'signed_in', detail })),
    portal.clock(),
  )
}

const numbered = (count: number) => Array.from({ length: count }, (_, number) => String(number))

/** One round of a process. */
async function send(url = `http://127.0.0.1:${port}/events`, services = portal): Promise<number> {
  const auditWebhook = { url, secret: SECRET }
  const { receivers, close } = await openAuditReceivers(services, { auditStream: 'off', auditWebhook }, portal.logger)
  const [receiver] = receivers
  assert.ok(receiver)
  const count = await streamAuditLog(services, receiver, randomUUID())
  close()
  return count
}

async function problem(): Promise<string | null> {
  const { rows } = await portal.storage.pool.query<{ problem: string | null }>('SELECT problem FROM audit_streams')
  return rows[0]?.problem ?? null
}

// The first test, as the clock of the worker is the time of day.
test('when a sender is killed, the next one sends the batch again, and the receiver knows it by its id', async () => {
  const { rows } = await portal.storage.pool.query<{ name: string }>('SELECT current_database() AS name')
  const databaseUrl = Object.assign(new URL(serviceAddress('TEST_DATABASE_URL')), {
    pathname: `/${rows[0]?.name}`,
  }).href
  const details = numbered(3)
  answer = () => {}
  await happened(...details)
  const asked = once(arrivals, 'arrived')
  const worker = startGatehouse(['worker'], {
    NODE_ENV: 'test',
    DATABASE_URL: databaseUrl,
    GATEHOUSE_SECRET: TEST_SECRET,
    AUDIT_WEBHOOK_URL: `http://127.0.0.1:${port}/events`,
    AUDIT_WEBHOOK_SECRET: SECRET,
  })
  await asked
  await worker.kill()
  answer = accept
  // Only when the lease of the one that died is over.
  assert.equal(await send(), 0)
  const later = { ...portal, clock: createClock(new Date(Date.now() + 61_000)) }
  assert.equal(await send(undefined, later), 3)
  const [id] = arrived.map((batch) => batch.id)
  assert.deepEqual(arrived, [
    { id, details },
    { id, details },
  ])
})

test('every event since it was switched on arrives once and in order, also when several processes send', async () => {
  const details = numbered(250)
  await happened(...details)
  await Promise.all([send(), send(), send()])
  await send()
  assert.deepEqual(
    arrived.flatMap((batch) => batch.details),
    details,
  )
  assert.equal(new Set(arrived.map(({ id }) => id)).size, 3)
})

test('a receiver that fails gets the same batch again, later and later, and nothing is skipped', async () => {
  await happened('first')
  answer = (response) => response.writeHead(500).end()
  assert.equal(await send(), 0)
  assert.equal(await problem(), 'answered 500 Internal Server Error')
  await happened('second')
  // Not before a second is over, and after the next failure not before two.
  assert.equal(await send(), 0)
  assert.equal(arrived.length, 1)
  portal.clock.advance(1)
  answer = (response) => response.destroy()
  await send()
  portal.clock.advance(1)
  await send()
  assert.equal(arrived.length, 2)
  portal.clock.advance(1)
  answer = (response) => response.writeHead(302, { location: 'http://127.0.0.1/' }).end()
  await send()
  assert.match((await problem()) ?? '', /redirects are not followed/)
  // It is away, and comes back.
  await stop()
  portal.clock.advance(4)
  await send()
  assert.equal(await problem(), 'its address refuses connections')
  await listen()
  portal.clock.advance(8)
  answer = accept
  assert.equal(await send(), 2)
  assert.equal(await problem(), null)
  assert.deepEqual(
    arrived.map(({ details }) => details[0]),
    ['first', 'first', 'first', 'first', 'second'],
  )
  assert.equal(new Set(arrived.slice(0, 4).map(({ id }) => id)).size, 1)
})

test('cloud metadata endpoints and unencrypted public addresses get nothing', async () => {
  for (const [url, expected] of [
    ['http://169.254.169.254/latest', 'its address is one where a cloud keeps credentials'],
    ['http://192.0.2.1/', 'it is not https, and its address is not in a private network'],
  ] as const) {
    await happened('secret')
    portal.clock.advance(600)
    assert.equal(await send(url), 0)
    assert.equal(await problem(), expected)
  }
})

test('the lines on standard output are audit events, whatever the log level is', async () => {
  const lines: string[] = []
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString())
      done()
    },
  })
  const logger = createLogger('error', destination)
  const { receivers } = await openAuditReceivers(portal, { auditStream: 'stdout', auditWebhook: null }, logger)
  const [receiver] = receivers
  assert.ok(receiver)
  await streamAuditLog(portal, receiver, randomUUID())
  await happened('one', 'two\n{"level":"error"}')
  logger.info('not an audit event')
  assert.equal(await streamAuditLog(portal, receiver, randomUUID()), 2)
  const events = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  assert.deepEqual(
    events.map(({ type, kind, detail }) => [type, kind, detail]),
    [
      ['audit', 'signed_in', 'one'],
      ['audit', 'signed_in', 'two\n{"level":"error"}'],
    ],
  )
})
