import type { Database, Queryable } from './postgres.ts'

export async function findIntroduction({ pool }: Database, identityId: string, clientId: string): Promise<Date | null> {
  const result = await pool.query<{ readAt: Date }>({
    name: 'introduction-find',
    text: 'SELECT read_at AS "readAt" FROM introductions WHERE identity_id = $1 AND client_id = $2',
    values: [identityId, clientId],
  })
  return result.rows[0]?.readAt ?? null
}

/** Nothing changes when there is one already. */
export async function insertIntroduction(
  db: Queryable,
  identityId: string,
  clientId: string,
  now: Date,
): Promise<void> {
  await db.query(
    'INSERT INTO introductions (identity_id, client_id, read_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING',
    [identityId, clientId, now],
  )
}
