import type { AuditRow } from './audit.ts'
import type { Queryable } from './postgres.ts'

/** A filter of audit events; a field that is left out matches all. */
export interface AuditChoice {
  identityId?: string | undefined
  /** The name of the operator. */
  actor?: string | undefined
  clientId?: string | undefined
  kind?: string | undefined
  cause?: string | undefined
  from?: Date | undefined
  /** Not with this moment. */
  to?: Date | undefined
}

/** An event for operators, with the names that things have now. */
export interface SearchedAuditRow extends AuditRow {
  username: string | null
  actorId: string | null
  actorAddress: string | null
}

/** Events that one search looks through at most; it goes on from there. */
export const LOOKED_THROUGH = 2000
/** Events are written in the order of their ids, and within this of their time (ms): a transaction takes a while. */
const DISORDER_MS = 60_000

/** The filters, and the literal condition of the partial index that has them; without it, what is too frequent for an index. */
const FILTERS = [
  { field: 'identityId', column: 'identity_id', index: () => '' },
  { field: 'actor', column: 'actor', index: () => '' },
  { field: 'clientId', column: 'client_id', index: () => '' },
  {
    field: 'kind',
    column: 'kind',
    index: (kind: string) =>
      kind === 'family_opened' || kind === 'family_ended' ? null : ` AND kind NOT IN ('family_opened', 'family_ended')`,
  },
  {
    field: 'cause',
    column: 'cause',
    index: (cause: string) => (cause === 'replaced' ? null : ` AND cause <> 'replaced'`),
  },
] as const

/**
 * Newest first, from before the id `before` on. At most `LOOKED_THROUGH` events are looked through, along the index that leaves the
 * fewest. @returns fewer than `limit` events also where there are more; `next` is the id to go on from, null at the end
 */
export async function searchAuditEvents(
  db: Queryable,
  choice: AuditChoice,
  before: string | null,
  limit: number,
): Promise<{ rows: SearchedAuditRow[]; next: string | null }> {
  const [low, high] = await Promise.all([
    choice.from === undefined ? null : firstIdFrom(db, new Date(choice.from.getTime() - DISORDER_MS)),
    choice.to === undefined ? null : firstIdFrom(db, new Date(choice.to.getTime() + DISORDER_MS)),
  ])
  const values: unknown[] = [low, smaller(high, before)]
  const place = (value: unknown) => `$${values.push(value)}`
  const range = '($1::bigint IS NULL OR id >= $1) AND ($2::bigint IS NULL OR id < $2)'
  const filters = FILTERS.flatMap(({ field, column, index }) => {
    const value = choice[field]
    if (value === undefined) return []
    const condition = `${column} = ${place(value)}${column === 'identity_id' ? '::uuid' : ''}`
    const literal = index(value)
    return [{ condition, driver: literal === null ? null : `${condition}${literal} AND ${range}` }]
  })
  const drivers = filters.flatMap(({ driver }) => driver ?? [])
  const bound = values.slice()
  const driver = await rarest(db, drivers, bound, range)
  const scanned = (columns: string) =>
    `SELECT ${columns} FROM audit_events WHERE ${driver} ORDER BY id DESC LIMIT ${LOOKED_THROUGH}`
  const conditions = [
    'true',
    ...filters.map(({ condition }) => condition),
    ...(choice.from === undefined ? [] : [`at >= ${place(choice.from)}::timestamptz`]),
    ...(choice.to === undefined ? [] : [`at < ${place(choice.to)}::timestamptz`]),
  ]
  const { rows } = await db.query<SearchedAuditRow>(
    `SELECT ${SEARCHED} FROM (SELECT * FROM (${scanned('*')}) scanned WHERE ${conditions.join(' AND ')}
       ORDER BY id DESC LIMIT ${place(limit + 1)}) e
       ${WITH_NAMES}
     ORDER BY e.id DESC`,
    values,
  )
  if (rows.length > limit) {
    const shown = rows.slice(0, limit)
    return { rows: shown, next: shown.at(-1)?.id ?? null }
  }
  const { rows: ends } = await db.query<{ last: string | null }>(
    `SELECT CASE WHEN count(*) = ${LOOKED_THROUGH} THEN min(id)::text END AS last FROM (${scanned('id')}) scanned
     WHERE ${mentionAll(bound.length)}`,
    bound,
  )
  return { rows, next: ends[0]?.last ?? null }
}

const SEARCHED = `e.id::text, e.at, e.kind, e.identity_id AS "identityId", i.username, e.client_id AS "clientId", a.name AS "appName",
  e.family_id AS "familyId", e.identity_session_id AS "identitySessionId", e.cause, e.detail, e.browser, e.address, e.actor,
  e.actor_id AS "actorId", e.actor_address AS "actorAddress"`
const WITH_NAMES = 'LEFT JOIN apps a ON a.client_id = e.client_id LEFT JOIN identities i ON i.id = e.identity_id'

/** The next events after the id `after` up to the id `to`, oldest first, `limit` at most. */
export async function listAuditEventsAfter(
  db: Queryable,
  after: string,
  to: string,
  limit: number,
): Promise<SearchedAuditRow[]> {
  const { rows } = await db.query<SearchedAuditRow>(
    `SELECT ${SEARCHED} FROM (SELECT * FROM audit_events WHERE id > $1::bigint AND id <= $2::bigint ORDER BY id LIMIT $3) e
       ${WITH_NAMES} ORDER BY e.id`,
    [after, to, limit],
  )
  return rows
}

/** The condition along whose index the search goes the farthest back in `LOOKED_THROUGH` events. */
async function rarest(db: Queryable, drivers: string[], values: unknown[], range: string): Promise<string> {
  const [first = range, ...others] = drivers
  if (others.length === 0) return first
  const reach = drivers.map(
    (driver) =>
      `(SELECT id FROM audit_events WHERE ${driver} ORDER BY id DESC OFFSET ${LOOKED_THROUGH - 1} LIMIT 1)::text`,
  )
  const { rows } = await db.query<{ reached: (string | null)[] }>(
    `SELECT ARRAY[${reach.join(', ')}] AS reached WHERE ${mentionAll(values.length)}`,
    values,
  )
  const reached = (rows[0]?.reached ?? []).map((id) => (id === null ? 0n : BigInt(id)))
  const best = reached.reduce((least, id, index) => (id < (reached[least] as bigint) ? index : least), 0)
  return drivers[best] as string
}

/** PostgreSQL cannot tell the type of a parameter that no condition has. */
function mentionAll(count: number): string {
  return Array.from({ length: count }, (_, index) => `($${index + 1}::text IS NULL OR true)`).join(' AND ')
}

/**
 * The first id of an event from then on; null without one. Ids follow time, so a binary search in the primary key finds it: an
 * index of the time would cost every insert.
 */
async function firstIdFrom(db: Queryable, at: Date): Promise<string | null> {
  const { rows } = await db.query<{ id: string }>(
    `WITH RECURSIVE search(low, high) AS (
       SELECT (SELECT id FROM audit_events ORDER BY id LIMIT 1), (SELECT id + 1 FROM audit_events ORDER BY id DESC LIMIT 1)
       UNION ALL
       SELECT CASE WHEN probe.at < $1 THEN probe.id + 1 ELSE low END, CASE WHEN probe.at < $1 THEN high ELSE middle END
       FROM search, LATERAL (SELECT low + (high - low) / 2 AS middle) halved,
         LATERAL (SELECT id, at FROM audit_events WHERE id >= middle ORDER BY id LIMIT 1) probe
       WHERE low < high)
     SELECT low::text AS id FROM search WHERE low >= high`,
    [at],
  )
  return rows[0]?.id ?? null
}

function smaller(one: string | null, other: string | null): string | null {
  if (one === null || other === null) return one ?? other
  return BigInt(one) < BigInt(other) ? one : other
}
