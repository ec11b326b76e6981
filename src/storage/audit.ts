import type { Database, Queryable } from './postgres.ts'

export interface AuditRow {
  id: string
  at: Date
  kind: string
  identityId: string | null
  clientId: string | null
  appName: string | null
  familyId: string | null
  cause: string | null
  detail: string | null
  browser: string | null
  address: string | null
  /** The operator who ran the command; null for what users, apps and time do. */
  actor: string | null
}

export type NewAuditRow = { kind: string } & Partial<Omit<AuditRow, 'id' | 'at' | 'appName'>>

export async function insertAuditEvents(db: Queryable, events: NewAuditRow[], now: Date): Promise<void> {
  if (events.length === 0) return
  const column = (name: Exclude<keyof NewAuditRow, 'kind'>) => events.map((event) => event[name] ?? null)
  await db.query({
    name: 'audit-insert',
    text: `INSERT INTO audit_events (at, kind, identity_id, client_id, family_id, cause, detail, browser, address, actor)
     SELECT $1, * FROM unnest($2::text[], $3::uuid[], $4::text[], $5::uuid[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[])`,
    values: [
      now,
      events.map((event) => event.kind),
      column('identityId'),
      column('clientId'),
      column('familyId'),
      column('cause'),
      column('detail'),
      column('browser'),
      column('address'),
      column('actor'),
    ],
  })
}

/** Newest first; `before` is the id to go on from. */
export async function listAuditEvents(
  { pool }: Database,
  identityId: string,
  limit: number,
  before: string | null,
): Promise<AuditRow[]> {
  const result = await pool.query<AuditRow>(
    `SELECT e.id::text, e.at, e.kind, e.identity_id AS "identityId", e.client_id AS "clientId", a.name AS "appName", e.family_id AS "familyId",
       e.cause, e.detail, e.browser, e.address, e.actor
     FROM audit_events e LEFT JOIN apps a ON a.client_id = e.client_id
     WHERE e.identity_id = $1 AND ($3::bigint IS NULL OR e.id < $3) ORDER BY e.id DESC LIMIT $2`,
    [identityId, limit, before],
  )
  return result.rows
}

/**
 * Removes the personal data from up to `limit` events of a deleted identity; kind, time, app and cause remain, so that operators
 * can still count. The id of the family is removed, too, because the app knows whose it was. Newest first; `before` is the id to
 * go on from. @returns where to go on, null when none is left
 */
export async function anonymizeAuditEvents(
  db: Queryable,
  identityId: string,
  before: string | null,
  limit: number,
): Promise<string | null> {
  // The role of a running portal may not update the table itself.
  const result = await db.query<{ last: string | null }>('SELECT anonymize_audit_events($1, $2, $3)::text AS last', [
    identityId,
    before,
    limit,
  ])
  return result.rows[0]?.last ?? null
}
