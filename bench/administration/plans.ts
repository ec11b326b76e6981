import type { Queryable } from '../../src/storage/postgres.ts'
import type { Statement } from '../../src/testing/portal/statements.ts'

/** What a statement costs the database. */
export interface Plan {
  text: string
  /** To plan and to run it (ms). */
  ms: number
  /** Large tables that it read from one end to the other. */
  scanned: string[]
}

/** The tables that grow with users. */
export const LARGE_TABLES = ['identities', 'identity_sessions', 'families', 'group_members', 'audit_events', 'devices']

interface Node {
  'Node Type': string
  'Relation Name'?: string
  Plans?: Node[]
}

interface Explained {
  Plan: Node
  'Planning Time': number
  'Execution Time': number
}

/** Runs a statement once more, in a transaction that is rolled back, and tells what it cost. Null for one that has no plan. */
export async function planOf(db: Queryable, { text, values }: Statement): Promise<Plan | null> {
  if (!/^\s*(?:SELECT|WITH|UPDATE|INSERT|DELETE|\()/i.test(text)) return null
  await db.query('BEGIN')
  try {
    const { rows } = await db.query<{ 'QUERY PLAN': Explained[] }>(`EXPLAIN (ANALYZE, FORMAT JSON) ${text}`, values)
    const explained = rows[0]?.['QUERY PLAN'][0] as Explained
    return {
      text,
      ms: explained['Planning Time'] + explained['Execution Time'],
      scanned: [...new Set(scansIn(explained.Plan))].filter((name) => LARGE_TABLES.includes(name)),
    }
  } finally {
    await db.query('ROLLBACK')
  }
}

function scansIn(node: Node): string[] {
  const own = node['Node Type'].endsWith('Seq Scan') ? [node['Relation Name'] ?? ''] : []
  return [...own, ...(node.Plans ?? []).flatMap(scansIn)]
}
