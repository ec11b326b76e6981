import { MAY_ENTER } from './liveness.ts'
import type { Queryable } from './postgres.ts'

/** Which families to end. Every choice names an owner, so no mistake ends the families of all. */
export type FamilyChoice =
  | { id: string; identityId?: string }
  | { identityId: string; clientId?: string; exceptSessionId?: string }
  | { identitySessionIds: string[]; lifetimes: string[] }
  | { ids: string[] }

export interface EndedFamily {
  id: string
  clientId: string
  identityId: string
  sid: string | null
  /** Whether its app has a URI for logout tokens (OpenID Connect Back-Channel Logout), and one for events (RFC 8935). */
  takesLogouts: boolean
  takesEvents: boolean
}

/** The cause, the client, and the generation of the replaced refresh token that was reused. */
export interface FamilyEnd {
  cause: string
  browser: string | null
  address: string | null
  generation: number | null
}

/** @returns the families that this call ended. Of callers that race, one ends each. */
export async function markFamiliesEnded(
  db: Queryable,
  choice: FamilyChoice,
  end: FamilyEnd,
  now: Date,
): Promise<EndedFamily[]> {
  if ('ids' in choice && choice.ids.length === 0) return []
  if ('identitySessionIds' in choice && choice.identitySessionIds.length === 0) return []
  const values: unknown[] = [now, end.cause, end.browser, end.address, end.generation]
  const conditions = ['a.client_id = f.client_id', 'f.ended_at IS NULL']
  const where = (condition: string, value: unknown) => conditions.push(condition.replace('?', `$${values.push(value)}`))

  if ('id' in choice) where('f.id = ?', choice.id)
  if ('ids' in choice) where('f.id = ANY (?::uuid[])', choice.ids)
  if ('identityId' in choice && choice.identityId !== undefined) where('f.identity_id = ?', choice.identityId)
  if ('clientId' in choice && choice.clientId !== undefined) where('f.client_id = ?', choice.clientId)
  if ('exceptSessionId' in choice && choice.exceptSessionId !== undefined)
    where('f.identity_session_id IS DISTINCT FROM ?::uuid', choice.exceptSessionId)
  if ('identitySessionIds' in choice) {
    where('f.identity_session_id = ANY (?::uuid[])', choice.identitySessionIds)
    where('f.lifetime = ANY (?)', choice.lifetimes)
  }
  const result = await db.query<EndedFamily>(
    `UPDATE families f SET ended_at = $1, end_cause = $2, end_browser = $3, end_address = $4, end_generation = $5
     FROM apps a WHERE ${conditions.join(' AND ')}
     RETURNING f.id, f.client_id AS "clientId", f.identity_id AS "identityId", f.sid,
       a.backchannel_logout_uri IS NOT NULL AS "takesLogouts", a.event_receiver_uri IS NOT NULL AS "takesEvents"`,
    values,
  )
  return result.rows
}

/**
 * The families that these have replaced, and those that they had replaced before, the oldest first. They ended then, and their
 * app was not notified.
 */
export async function listReplacedBy(db: Queryable, ids: string[]): Promise<EndedFamily[]> {
  if (ids.length === 0) return []
  const result = await db.query<EndedFamily>({
    name: 'families-replaced-by',
    text: `WITH RECURSIVE gone AS (
        SELECT id, created_at, client_id, identity_id, sid FROM families WHERE replaced_by = ANY ($1::uuid[])
        UNION ALL
        SELECT f.id, f.created_at, f.client_id, f.identity_id, f.sid FROM gone JOIN families f ON f.replaced_by = gone.id)
      SELECT gone.id, gone.client_id AS "clientId", gone.identity_id AS "identityId", gone.sid,
        a.backchannel_logout_uri IS NOT NULL AS "takesLogouts", a.event_receiver_uri IS NOT NULL AS "takesEvents"
      FROM gone JOIN apps a ON a.client_id = gone.client_id ORDER BY gone.created_at`,
    values: [ids],
  })
  return result.rows
}

/** Up to `limit` identities that have families of an app which they may not enter. */
export async function listWithdrawnIdentities(db: Queryable, clientId: string, limit: number): Promise<string[]> {
  const result = await db.query<{ id: string }>(
    `SELECT DISTINCT i.id FROM apps a JOIN families f ON f.client_id = a.client_id JOIN identities i ON i.id = f.identity_id
     WHERE a.client_id = $1 AND f.ended_at IS NULL AND NOT ${MAY_ENTER} LIMIT $2`,
    [clientId, limit],
  )
  return result.rows.map(({ id }) => id)
}

/** Locks the living families of identities that may no longer enter their apps. What the apps say of that stays so meanwhile. */
export async function lockWithdrawnFamilies(db: Queryable, identityIds: string[]): Promise<string[]> {
  const result = await db.query<{ id: string }>(
    `SELECT f.id FROM families f JOIN identities i ON i.id = f.identity_id JOIN apps a ON a.client_id = f.client_id
     WHERE f.identity_id = ANY ($1) AND f.ended_at IS NULL AND NOT ${MAY_ENTER} ORDER BY f.id FOR NO KEY UPDATE OF f FOR SHARE OF a`,
    [identityIds],
  )
  return result.rows.map(({ id }) => id)
}

/**
 * Locks the living families of an identity until the transaction ends: refreshes in progress have finished then, and later ones
 * wait.
 */
export async function lockFamiliesOf(db: Queryable, identityId: string): Promise<void> {
  await lockFamiliesOfAll(db, [identityId])
}

/** The same of several identities, in one order, so that two such transactions cannot deadlock. */
export async function lockFamiliesOfAll(db: Queryable, identityIds: string[]): Promise<void> {
  await db.query(
    'SELECT FROM families WHERE identity_id = ANY ($1) AND ended_at IS NULL ORDER BY id FOR NO KEY UPDATE',
    [identityIds],
  )
}

/** Up to `limit` living families of an app that is disabled, and stays so until this transaction has ended them. */
export async function lockFamiliesOfDisabledApp(db: Queryable, clientId: string, limit: number): Promise<string[]> {
  const result = await db.query<{ id: string }>(
    `SELECT f.id FROM apps a JOIN families f ON f.client_id = a.client_id
     WHERE a.client_id = $1 AND a.disabled_at IS NOT NULL AND f.ended_at IS NULL LIMIT $2 FOR SHARE OF a FOR UPDATE OF f`,
    [clientId, limit],
  )
  return result.rows.map((row) => row.id)
}
