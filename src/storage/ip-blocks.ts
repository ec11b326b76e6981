import { hasPrefix } from './prefixes.ts'
import type { Queryable } from './postgres.ts'

export interface IpBlockRow {
  /** An IPv4 address, or the /64 of an IPv6 address. */
  address: string
  since: Date
  until: Date
  failures: number
}

/** False when the IP address was blocked already. */
export async function insertIpBlock(db: Queryable, { address, since, until, failures }: IpBlockRow): Promise<boolean> {
  const result = await db.query({
    name: 'suspension-insert',
    text: `INSERT INTO suspensions (address, since, until, failures) VALUES ($1, $2, $3, $4)
           ON CONFLICT (address) DO UPDATE SET since = EXCLUDED.since, until = EXCLUDED.until, failures = EXCLUDED.failures
           WHERE suspensions.until <= EXCLUDED.since`,
    values: [address, since, until, failures],
  })
  return result.rowCount === 1
}

/** Runs before every login attempt, so it is a named statement. */
export async function findIpBlock(db: Queryable, address: string, now: Date): Promise<IpBlockRow | null> {
  const result = await db.query<IpBlockRow>({
    name: 'suspension-find',
    text: 'SELECT address, since, until, failures FROM suspensions WHERE address = $1 AND until > $2',
    values: [address, now],
  })
  return result.rows[0] ?? null
}

/** By address, `limit` at most: those that begin with the prefix, after the address `after`. */
export async function listIpBlocks(
  db: Queryable,
  { prefix, after, limit }: { prefix: string; after: string | null; limit: number },
  now: Date,
): Promise<IpBlockRow[]> {
  const result = await db.query<IpBlockRow>(
    `SELECT address, since, until, failures FROM suspensions
     WHERE until > $1 AND ${hasPrefix('address', '$2')} AND ($3::text IS NULL OR address COLLATE "C" > $3)
     ORDER BY address COLLATE "C" LIMIT $4`,
    [now, prefix, after, limit],
  )
  return result.rows
}

/** False when the IP address was not blocked. */
export async function deleteIpBlock(db: Queryable, address: string, now: Date): Promise<boolean> {
  const result = await db.query('DELETE FROM suspensions WHERE address = $1 AND until > $2', [address, now])
  return result.rowCount === 1
}

/** Deletes up to `limit` blocks that are over and returns how many. */
export async function deletePastIpBlocks(db: Queryable, now: Date, limit: number): Promise<number> {
  const result = await db.query(
    `DELETE FROM suspensions WHERE address = ANY (
       ARRAY(SELECT address FROM suspensions WHERE until <= $1 ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED))`,
    [now, limit],
  )
  return result.rowCount ?? 0
}
