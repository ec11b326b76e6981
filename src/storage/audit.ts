import type { AuditKind } from './audit-kinds.ts'
import type { Database, Queryable } from './postgres.ts'

export interface AuditRow {
  id: string
  at: Date
  kind: string
  identityId: string | null
  clientId: string | null
  appName: string | null
  familyId: string | null
  /** The signed-in browser it is about. */
  identitySessionId: string | null
  cause: string | null
  detail: string | null
  browser: string | null
  address: string | null
  /** The name of the operator; null for what users, apps and time do. */
  actor: string | null
}

/** Who looks after the portal, for the audit log. */
export interface Operator {
  /** The operating system user who runs a command, the user name of an administrator, or the client id of a service. */
  name: string
  /** The identity of the administrator, or the client id; null for a command. */
  id: string | null
  /** The IP address that the request came from; null for a command. */
  address: string | null
  /** A client of the admin API with some scopes only. It must not get at more, such as by making an administrator. */
  isNarrow?: boolean
}

export type NewAuditRow = { kind: AuditKind; actor?: Operator | null } & Partial<
  Omit<AuditRow, 'id' | 'at' | 'appName' | 'actor'>
>

/** An event as its user may look at it. What it is about may be forgotten by now, and then there is no page of it. */
export interface ListedAuditRow extends AuditRow {
  hasFamily: boolean
  /** The signed-in browser of the family. */
  familySessionId: string | null
  /** The browser that was signed in. */
  sessionBrowser: string | null
}

export async function insertAuditEvents(db: Queryable, events: NewAuditRow[], now: Date): Promise<void> {
  if (events.length === 0) return
  const column = (name: Exclude<keyof NewAuditRow, 'kind' | 'actor'>) => events.map((event) => event[name] ?? null)
  const ofActor = (name: 'name' | 'id' | 'address') => events.map(({ actor }) => actor?.[name] ?? null)
  await db.query({
    name: 'audit-insert',
    text: `INSERT INTO audit_events (at, kind, identity_id, client_id, family_id, cause, detail, browser, address, actor, actor_id,
       actor_address, identity_session_id)
     SELECT $1, * FROM unnest($2::text[], $3::uuid[], $4::text[], $5::uuid[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
       $11::text[], $12::text[], $13::uuid[])`,
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
      ofActor('name'),
      ofActor('id'),
      ofActor('address'),
      column('identitySessionId'),
    ],
  })
}

/**
 * Newest first; `before` is the id to go on from. `withRenewals` is false where an app that signs in again in the background, in
 * place of an earlier time, would bury everything else.
 */
export async function listAuditEvents(
  { pool }: Database,
  identityId: string,
  limit: number,
  before: string | null,
  withRenewals: boolean,
): Promise<ListedAuditRow[]> {
  const result = await pool.query<ListedAuditRow>(
    `SELECT e.id::text, e.at, e.kind, e.identity_id AS "identityId", e.client_id AS "clientId", a.name AS "appName", e.family_id AS "familyId",
       e.identity_session_id AS "identitySessionId", e.cause, e.detail, e.browser, e.address, e.actor, f.id IS NOT NULL AS "hasFamily",
       f.identity_session_id AS "familySessionId", s.browser AS "sessionBrowser"
     FROM audit_events e LEFT JOIN apps a ON a.client_id = e.client_id
       LEFT JOIN families f ON f.id = e.family_id AND f.identity_id = e.identity_id
       LEFT JOIN identity_sessions s ON s.id = e.identity_session_id AND s.identity_id = e.identity_id
     WHERE e.identity_id = $1 AND ($3::bigint IS NULL OR e.id < $3) AND ($4 OR (e.kind, coalesce(e.cause, e.detail, '')) NOT IN
       (('family_ended', 'replaced'), ('family_opened', 'renewal')))
     ORDER BY e.id DESC LIMIT $2`,
    [identityId, limit, before, withRenewals],
  )
  return result.rows
}

/** A sign-in that was completed. */
export interface CompletedSignIn {
  id: string
  at: Date
  browser: string | null
  address: string | null
}

/** The sign-ins completed among the next `limit` events after the one with the id `after`, the oldest first. */
export async function listSignInsAfter(
  { pool }: Database,
  identityId: string,
  after: string,
  limit: number,
): Promise<CompletedSignIn[]> {
  const result = await pool.query<CompletedSignIn>(
    `SELECT id::text, at, browser, address FROM
       (SELECT * FROM audit_events WHERE identity_id = $1 AND id > $2 ORDER BY id LIMIT $3) next
     WHERE kind = 'signed_in' ORDER BY next.id`,
    [identityId, after, limit],
  )
  return result.rows
}

/** The IP addresses of refused attempts among the newest `limit` events of an identity. */
export async function listRefusedAddresses(db: Queryable, identityId: string, limit: number): Promise<string[]> {
  const result = await db.query<{ address: string }>(
    `SELECT DISTINCT address FROM (SELECT kind, address FROM audit_events WHERE identity_id = $1 ORDER BY id DESC LIMIT $2) newest
     WHERE kind IN ('sign_in_refused', 'second_factor_refused', 'confirmation_refused', 'passkey_refused') AND address IS NOT NULL`,
    [identityId, limit],
  )
  return result.rows.map(({ address }) => address)
}

/** Events of an identity, newest first, `limit` at most; `before` is the id to go on from. */
export async function listAuditEventIds(
  db: Queryable,
  identityId: string,
  before: string | null,
  limit: number,
): Promise<string[]> {
  const result = await db.query<{ id: string }>(
    `SELECT id::text FROM audit_events WHERE identity_id = $1 AND ($2::bigint IS NULL OR id < $2) ORDER BY audit_events.id DESC
     LIMIT $3`,
    [identityId, before, limit],
  )
  return result.rows.map(({ id }) => id)
}

/**
 * Removes the personal data from these events of a deleted identity; kind, time, app and cause remain, so that operators can still
 * count. The id of the family is removed, too, because the app knows whose it was. Each event gets the proof beside its id.
 * @returns how many were of this identity
 */
export async function anonymizeAuditEvents(
  db: Queryable,
  identityId: string,
  ids: string[],
  proofs: Buffer[],
): Promise<number> {
  // The role of a running portal may not update the table itself.
  const result = await db.query<{ count: number }>('SELECT anonymize_audit_events($1, $2, $3)::int AS count', [
    identityId,
    ids,
    proofs,
  ])
  return result.rows[0]?.count ?? 0
}
