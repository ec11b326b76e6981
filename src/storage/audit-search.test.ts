import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { openTestPortal, type TestPortal } from '../testing/portal/open-portal.ts'
import { recordStatements } from '../testing/portal/statements.ts'
import { type AuditChoice, LOOKED_THROUGH, searchAuditEvents } from './audit-search.ts'

const EVENTS = 12_000
const START = Date.parse('2026-01-01T00:00:00Z')
/** Of one event after the other (ms). */
const APART = 10_000
const ADA = '00000000-0000-4000-8000-000000000001'

let portal: TestPortal

before(async () => {
  portal = await openTestPortal()
  // Each tenth id is missing, times go back a little, and the app `rare` has events long ago alone.
  await portal.storage.pool.query(
    `INSERT INTO audit_events (id, at, kind, identity_id, client_id, cause, actor)
     SELECT n + n / 9, $1::timestamptz + interval '1 millisecond' * ($2::int * n - (n % 7) * 6000),
       (ARRAY['family_opened', 'family_ended', 'signed_in', 'app_changed'])[1 + (n * 7919) % 97 % 4],
       CASE n % 500 WHEN 3 THEN $3::uuid WHEN 4 THEN NULL ELSE md5((n % 50)::text)::uuid END,
       CASE WHEN n % 3 = 0 THEN NULL WHEN n < 900 THEN 'rare' ELSE 'app-' || n % 2 END,
       CASE WHEN n % 4 = 1 THEN (ARRAY['replaced', 'signed_out', 'reuse'])[1 + n % 3] END,
       CASE WHEN n % 40 = 5 THEN 'root' END
     FROM generate_series(1, $4::int) n`,
    [new Date(START), APART, ADA, EVENTS],
  )
  await portal.storage.pool.query('VACUUM ANALYZE audit_events')
})
after(() => portal.close())

/** One value of each filter, with the condition that it stands for. */
const FILTERS: [AuditChoice, string][] = [
  [{ identityId: ADA }, `identity_id = '${ADA}'`],
  [{ actor: 'root' }, `actor = 'root'`],
  [{ clientId: 'app-1' }, `client_id = 'app-1'`],
  [{ kind: 'app_changed' }, `kind = 'app_changed'`],
  [{ cause: 'signed_out' }, `cause = 'signed_out'`],
  [{ from: time(3000) }, `at >= '${time(3000).toISOString()}'`],
  [{ to: time(9000) }, `at < '${time(9000).toISOString()}'`],
]

function time(event: number): Date {
  return new Date(START + APART * event)
}

/** Every combination of these filters. */
function combinations<T>([first, ...others]: T[]): T[][] {
  if (first === undefined) return [[]]
  const without = combinations(others)
  return [...without, ...without.map((rest) => [first, ...rest])]
}

async function searchAll(choice: AuditChoice, limit: number): Promise<string[]> {
  const ids: string[] = []
  let before: string | null = null
  let rounds = 0
  do {
    const page: { rows: { id: string }[]; next: string | null } = await searchAuditEvents(
      portal.storage.pool,
      choice,
      before,
      limit,
    )
    ids.push(...page.rows.map(({ id }) => id))
    before = page.next
    assert.ok(++rounds <= EVENTS / Math.min(limit, LOOKED_THROUGH) + 2)
  } while (before !== null)
  return ids
}

for (const [what, filters] of [
  ['', FILTERS],
  [
    ' of the frequent',
    [
      [{ kind: 'family_opened' }, `kind = 'family_opened'`],
      [{ cause: 'replaced' }, `cause = 'replaced'`],
    ],
  ],
  [
    ' of an app of long ago',
    [
      [{ clientId: 'rare' }, `client_id = 'rare'`],
      [{ kind: 'signed_in' }, `kind = 'signed_in'`],
    ],
  ],
] satisfies [string, [AuditChoice, string][]][]) {
  test(`every combination${what} finds exactly what it names, newest first`, async () => {
    for (const chosen of combinations<[AuditChoice, string]>(filters)) {
      const choice = Object.assign({}, ...chosen.map(([each]) => each)) as AuditChoice
      const conditions = ['true', ...chosen.map(([, condition]) => condition)].join(' AND ')
      const { rows } = await portal.storage.pool.query<{ id: string }>(
        `SELECT id::text FROM audit_events WHERE ${conditions} ORDER BY audit_events.id DESC`,
      )
      const found = await searchAll(choice, 1999)
      // The difference of long lists takes the test runner minutes.
      assert.equal(found.length, rows.length, conditions)
      assert.ok(
        rows.every(({ id }, index) => id === found[index]),
        conditions,
      )
    }
  })
}

test('pages of a few go on where the one before ended', async () => {
  const choice = { actor: 'root', clientId: 'app-1', from: time(11_000) }
  assert.deepEqual(await searchAll(choice, 3), await searchAll(choice, 1000))
  assert.ok((await searchAll(choice, 3)).length > 10)
})

test('a time before all events, and one after them', async () => {
  assert.equal((await searchAll({ from: time(EVENTS + 100) }, 50)).length, 0)
  assert.equal((await searchAll({ to: time(-100) }, 50)).length, 0)
  assert.equal((await searchAll({ from: time(-100), to: time(EVENTS + 100) }, 1999)).length, EVENTS)
})

interface Plan {
  'Node Type': string
  'Relation Name'?: string
  'Index Name'?: string
  'Actual Rows': number
  'Actual Loops': number
  'Rows Removed by Filter'?: number
  Plans?: Plan[]
}

test('every statement of every combination reads a bounded number of events, by an index', async () => {
  const everything = [
    ...combinations(FILTERS),
    [
      [{ clientId: 'rare' }, ''],
      [{ kind: 'signed_in' }, ''],
    ],
  ] as [AuditChoice, string][][]
  for (const chosen of everything) {
    const choice = Object.assign({}, ...chosen.map(([each]) => each)) as AuditChoice
    const statements = await recordStatements(() => searchAuditEvents(portal.storage.pool, choice, '11000', 50))
    assert.ok(statements.length >= 1)
    for (const { text, values } of statements) {
      const { rows } = await portal.storage.pool.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(
        `EXPLAIN (ANALYZE, FORMAT JSON) ${text}`,
        values,
      )
      const read = readsOf(rows[0]?.['QUERY PLAN'][0].Plan as Plan)
      for (const { type, count } of read) {
        assert.match(type, /^(?:Index|Bitmap) /, `${JSON.stringify(choice)} ${text}`)
        assert.ok(count <= LOOKED_THROUGH, `${type} ${count} ${JSON.stringify(choice)} ${text}`)
      }
    }
  }
})

/** How each part of a plan reads events, and how many. */
function readsOf(node: Plan): { type: string; count: number }[] {
  const below = (node.Plans ?? []).flatMap(readsOf)
  if (node['Relation Name'] !== 'audit_events') return below
  const count = (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)) * node['Actual Loops']
  return [...below, { type: node['Node Type'], count }]
}
