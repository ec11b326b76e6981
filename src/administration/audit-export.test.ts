import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { openTestPortal, type TestPortal } from '../testing/portal/open-portal.ts'
import { ada } from '../testing/portal/people.ts'
import { addIdentity } from '../testing/portal/identities.ts'
import { insertAuditEvents } from '../storage/audit.ts'
import { csvLine } from './export-lines.ts'
import { InvalidInput, perform } from './operation.ts'
import { OPERATIONS } from './operations.ts'

const AUTHORITY = { kind: 'command' } as const
const EVENTS = 100_000
/** What one batch of lines and its rows may take (bytes): all events would take fifty times as much. */
const MEMORY = 40_000_000

let portal: TestPortal
let adaId: string

before(async () => {
  portal = await openTestPortal()
  adaId = await addIdentity(portal, ada)
  await portal.storage.pool.query('TRUNCATE audit_events')
  await portal.storage.pool.query(
    `INSERT INTO audit_events (at, kind, identity_id, client_id, browser, address, detail)
     SELECT now(), 'signed_in', $1, 'notes', repeat('Mozilla/5.0 ', 30), '192.0.2.1', '=1+' || n FROM generate_series(1, $2::int) n`,
    [adaId, EVENTS],
  )
})
after(() => portal.close())

async function exported(input: Record<string, unknown>): Promise<AsyncIterable<string>> {
  const lines: unknown = await perform(portal, AUTHORITY, OPERATIONS.exportAuditEvents, input)
  return lines as AsyncIterable<string>
}

for (const format of ['csv', 'jsonl'])
  test(`an export of 100,000 events as ${format} has every one once, and holds few in memory`, async () => {
    let lines = 0
    let bytes = 0
    let most = 0
    let last = ''
    const collect = globalThis.gc ?? (() => {})
    collect()
    const before = process.memoryUsage().heapUsed
    for await (const text of await exported({ format })) {
      lines += text.split('\n').length - 1
      bytes += text.length
      last = text
      if (lines % 20_000 < 1000) {
        collect()
        most = Math.max(most, process.memoryUsage().heapUsed - before)
      }
    }
    assert.equal(lines, EVENTS + (format === 'csv' ? 1 : 0))
    assert.ok(bytes > (3 * MEMORY) / 4, String(bytes))
    if (globalThis.gc) assert.ok(most < MEMORY / 4, String(most))
    assert.match(last, /=1\+1\b/)
  })

test('an export is read from the database as it is taken', async () => {
  const iterator = (await exported({}))[Symbol.asyncIterator]()
  const first = await iterator.next()
  assert.equal((first.value as string).split('\n').length, 1001)
  // A reader that stops leaves nothing behind that waits.
  await iterator.return?.()
  assert.equal(portal.storage.pool.waitingCount, 0)
  assert.equal(portal.storage.pool.idleCount, portal.storage.pool.totalCount)
})

test('a CSV file is quoted as RFC 4180 says, and no value of it is a formula', async () => {
  await portal.storage.pool.query('TRUNCATE audit_events')
  const nasty = ['=1+1', '+1', '-1', '@x', '\tx', 'a "quoted", name', 'two\r\nlines', '＝1', "'=1", 'plain']
  await insertAuditEvents(
    portal.storage.pool,
    nasty.map((detail) => ({ kind: 'app_changed', detail })),
    portal.clock(),
  )
  let text = ''
  for await (const lines of await exported({ format: 'csv' })) text += lines
  const [head = [], ...rows] = parseCsv(text)
  const column = head.indexOf('detail')
  const details = rows.map((row) => row[column]).toReversed()
  assert.deepEqual(details, [
    "'=1+1",
    "'+1",
    "'-1",
    "'@x",
    "'\tx",
    'a "quoted", name',
    'two\r\nlines',
    "'＝1",
    "'=1",
    'plain',
  ])
  assert.equal(csvLine([null, '', 'a,b']), ',,"a,b"\r\n')
})

/** A small reader of RFC 4180. */
function parseCsv(text: string): string[][] {
  const records: string[][] = []
  let fields: string[] = []
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/g)) {
    fields.push(quoted === undefined ? (plain ?? '') : quoted.replaceAll('""', '"'))
    if (end === '\r\n') {
      records.push(fields)
      fields = []
    }
  }
  return records
}

test('what no filter can be is refused, and never a fault of the portal', async () => {
  for (const input of [
    { kind: '' },
    { kind: 'x'.repeat(301) },
    { kind: 'a\0b' },
    { from: 'yesterday' },
    { to: '2026-02-30T00:00:00Z' },
    { limit: 0 },
    { limit: 'many' },
    { cursor: 'x' },
    { cursor: Buffer.from('["99999999999999999999"]').toString('base64url') },
    { surprise: 1 },
    { identity: ['ada'] },
  ])
    await assert.rejects(perform(portal, AUTHORITY, OPERATIONS.listAuditEvents, input), (error: Error) => {
      assert.ok(
        error instanceof InvalidInput || error.constructor.name === 'Refused',
        `${JSON.stringify(input)} ${error}`,
      )
      return true
    })
  await assert.rejects(perform(portal, AUTHORITY, OPERATIONS.listAuditEvents, { identity: 'nobody' }), {
    code: 'not_found',
  })
  for (const input of [
    { from: '0000-01-01T00:00:00Z' },
    { to: '9999-12-31T23:59:59Z' },
    { operator: "'; DROP TABLE audit_events" },
    { identity: '00000000-0000-4000-8000-00000000000f' },
  ]) {
    const page = await perform(portal, AUTHORITY, OPERATIONS.listAuditEvents, input)
    assert.ok(Array.isArray(page.items))
  }
})
