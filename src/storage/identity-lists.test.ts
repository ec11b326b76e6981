import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { searchFamilies } from '../domain/families/families.ts'
import { type IdentityQuery, listIdentities } from '../domain/identities/identities.ts'
import { createApp } from '../domain/apps/apps.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { addFamilies, addPeople } from '../testing/portal/crowd.ts'
import { openTestPortal, type TestPortal } from '../testing/portal/open-portal.ts'
import { recordStatements } from '../testing/portal/statements.ts'

const FAMILIES = 8_000
const PEOPLE = 10_000
/** A sort of one page is cheap; one of a table is not. */
const MOST_SORTED = 500

interface PlanNode {
  'Node Type': string
  'Relation Name'?: string
  'Index Name'?: string
  'Plan Rows': number
  Plans?: PlanNode[]
}

let portal: TestPortal
let personId: string

before(async () => {
  portal = await openTestPortal()
  await createApp(portal, 'notes', notesApp)
  const { pool } = portal.storage
  await addPeople(pool, PEOPLE, portal.clock())
  await addFamilies(
    pool,
    { families: { from: 0, count: FAMILIES }, people: PEOPLE, clientIds: ['notes'], endedPercent: 30 },
    portal.clock(),
  )
  await pool.query(`UPDATE identities SET name = 'Person ' || username, name_key = 'person ' || username, family_name = username,
    family_name_key = username, disabled_at = CASE WHEN username LIKE '%77' THEN updated_at END,
    roles = CASE WHEN username ~ '[13579]$' THEN ARRAY['reader'] WHEN username LIKE '%98' THEN ARRAY['rare'] ELSE roles END`)
  await pool.query('VACUUM ANALYZE identities, families')
  const { rows } = await pool.query<{ id: string }>(`SELECT id FROM identities WHERE username = 'person7'`)
  personId = rows[0]?.id as string
})
after(() => portal.close())

const SEARCHED = ['username', 'email', 'name', 'family_name'].map((key) => `identities_${key}_prefix_idx`)
const ALL: IdentityQuery = { prefix: '', state: null, role: null, groupId: null, after: null, limit: 50 }

for (const [what, query, indexes] of [
  ['everyone', {}, ['identities_username_prefix_idx']],
  [
    'a later page',
    { after: { key: 'person5', id: '0b8d2f4e-1c6a-4d3b-9e5f-7a8b9c0d1e2f' } },
    ['identities_username_prefix_idx'],
  ],
  ['a search', { prefix: 'person19' }, SEARCHED],
  [
    'a later page of a search',
    { prefix: 'p', after: { key: 'person5', id: '0b8d2f4e-1c6a-4d3b-9e5f-7a8b9c0d1e2f' } },
    SEARCHED,
  ],
  ['the disabled ones', { state: 'disabled' }, ['identities_disabled_idx']],
  ['the enabled ones', { state: 'enabled' }, ['identities_username_prefix_idx']],
  ['a common role', { role: 'reader' }, ['identities_username_prefix_idx']],
  ['a rare role', { role: 'rare' }, ['identities_entitlements_idx']],
  ['a group that few are in', { groupId: '0b8d2f4e-1c6a-4d3b-9e5f-7a8b9c0d1e2f' }, ['identities_entitlements_idx']],
] as [string, Partial<IdentityQuery>, string[]][]) {
  test(`the list of identities reads ${what} by an index, and sorts no more than a page`, async () => {
    const plan = await planOf(() => listIdentities(portal, { ...ALL, ...query }))
    assert.deepEqual([...new Set(indexesIn(plan))].toSorted(), indexes.toSorted())
    assert.deepEqual(faultsIn(plan), [])
  })
}

for (const [what, query, index] of [
  ['an app', { identityId: null, clientId: 'notes' }, 'families_app_created_at_idx'],
  ['a person', { identityId: 'person', clientId: null }, 'families_identity_id_created_at_idx'],
] as const) {
  test(`the list of families of ${what} reads each page by an index`, async () => {
    for (const last of [null, { createdAt: portal.clock(), id: '0b8d2f4e-1c6a-4d3b-9e5f-7a8b9c0d1e2f' }]) {
      const identityId = query.identityId === null ? null : personId
      const plan = await planOf(() => searchFamilies(portal, { ...query, identityId, after: last, limit: 50 }))
      assert.ok(indexesIn(plan).includes(index), JSON.stringify(indexesIn(plan)))
      assert.deepEqual(faultsIn(plan), [])
    }
  })
}

async function planOf(act: () => Promise<unknown>): Promise<PlanNode> {
  const statement = (await recordStatements(act)).find(({ text }) => /FROM (\(\(SELECT|families)/.test(text))
  assert.ok(statement)
  const { rows } = await portal.storage.pool.query<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(
    `EXPLAIN (FORMAT JSON) ${statement.text}`,
    statement.values,
  )
  return rows[0]?.['QUERY PLAN'][0].Plan as PlanNode
}

function indexesIn(node: PlanNode): string[] {
  const name = node['Index Name']
  const isOfList = name !== undefined && /^(identities|families)_(?!pkey)/.test(name)
  return [...(isOfList ? [name] : []), ...(node.Plans ?? []).flatMap(indexesIn)]
}

function faultsIn(node: PlanNode): string[] {
  const { 'Node Type': type, 'Relation Name': table, 'Plan Rows': rows, Plans: below = [] } = node
  const isScan = type === 'Seq Scan' && (table === 'identities' || table === 'families')
  const sorted = type === 'Sort' ? Math.max(...below.map((each) => each['Plan Rows'])) : 0
  const fault = isScan || sorted > MOST_SORTED ? [`${type} of ${table ?? sorted}, ${rows} rows`] : []
  return [...fault, ...below.flatMap(faultsIn)]
}
