import type { Queryable } from './postgres.ts'
import type { Storage } from './storage.ts'

/** A family, with what its identity and its app say at this moment. */
export interface FamilyRow {
  id: string
  clientId: string
  identityId: string
  identitySessionId: string | null
  generation: number
  currentHash: Buffer
  previousHash: Buffer | null
  rotatedAt: Date | null
  scope: string
  claims: string | null
  sid: string | null
  acr: string | null
  amr: string[]
  authTime: number
  jkt: string | null
  createdAt: Date
  lastUsedAt: Date
  idleExpiresAt: Date
  expiresAt: Date
  browser: string
  address: string
  endedAt: Date | null
  endCause: string | null
  /** By an operator, or deleted by its owner. */
  identityDisabled: boolean
  roles: string[]
  appDisabled: boolean
  appName: string
  audience: string
  applicationTokenTtl: number | null
  rotationGrace: number | null
}

const COLUMNS = `f.id, f.client_id AS "clientId", f.identity_id AS "identityId", f.identity_session_id AS "identitySessionId", f.generation,
  f.current_hash AS "currentHash", f.previous_hash AS "previousHash", f.rotated_at AS "rotatedAt", f.scope, f.claims, f.sid, f.acr,
  f.amr, f.auth_time AS "authTime", f.jkt, f.created_at AS "createdAt", f.last_used_at AS "lastUsedAt", f.idle_expires_at AS "idleExpiresAt",
  f.expires_at AS "expiresAt", f.browser, f.address, f.ended_at AS "endedAt", f.end_cause AS "endCause",
  i.disabled_at IS NOT NULL OR i.erased_from IS NOT NULL AS "identityDisabled", i.roles, a.disabled_at IS NOT NULL AS "appDisabled", a.name AS "appName", a.audience,
  a.application_token_ttl AS "applicationTokenTtl", a.rotation_grace AS "rotationGrace"`
const JOINED = 'families f JOIN identities i ON i.id = f.identity_id JOIN apps a ON a.client_id = f.client_id'

export interface NewFamily {
  id: string
  clientId: string
  identityId: string
  identitySessionId: string
  currentHash: Buffer
  scope: string
  claims: string | null
  sid: string | null
  acr: string | null
  amr: string[]
  authTime: number
  jkt: string | null
  idleExpiresAt: Date
  expiresAt: Date
}

/**
 * Opens a family on the browser of its identity session and writes that down, in one statement. False when the session, the
 * identity or the app has ended in the meantime: a code must not outlive the sign-in it came from.
 */
export async function insertFamily(db: Queryable, family: NewFamily, now: Date): Promise<boolean> {
  const result = await db.query({
    name: 'family-insert',
    text: `WITH opened AS (INSERT INTO families (id, client_id, identity_id, identity_session_id, current_hash, scope, claims, sid, acr, amr, auth_time,
       jkt, created_at, last_used_at, idle_expires_at, expires_at, browser, address)
     SELECT $1, a.client_id, i.id, s.id, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13, $14, $15, s.browser, s.address
     FROM identity_sessions s JOIN identities i ON i.id = s.identity_id JOIN apps a ON a.client_id = $2
     WHERE s.id = $4 AND i.id = $3 AND s.ended_at IS NULL AND s.expires_at > $13 AND i.disabled_at IS NULL AND i.erased_from IS NULL
       AND a.disabled_at IS NULL
     FOR SHARE OF s, i, a
     RETURNING *)
     INSERT INTO audit_events (at, kind, identity_id, client_id, family_id, browser, address)
     SELECT created_at, 'family_opened', identity_id, client_id, id, browser, address FROM opened`,
    values: [
      family.id,
      family.clientId,
      family.identityId,
      family.identitySessionId,
      family.currentHash,
      family.scope,
      family.claims,
      family.sid,
      family.acr,
      family.amr,
      family.authTime,
      family.jkt,
      now,
      family.idleExpiresAt,
      family.expiresAt,
    ],
  })
  return result.rowCount === 1
}

export async function findFamily(db: Queryable, id: string): Promise<FamilyRow | null> {
  const result = await db.query<FamilyRow>({
    name: 'family-find',
    text: `SELECT ${COLUMNS} FROM ${JOINED} WHERE f.id = $1`,
    values: [id],
  })
  return result.rows[0] ?? null
}

/** The hash of the secret an app sent; null from one that sends none, as public apps do. */
export interface AppProof {
  secretHash: string | null
}

export interface Advance {
  id: string
  clientId: string
  presentedHash: Buffer
  successorHash: Buffer
  /** Scopes the app asks for; null asks for all. */
  scopes: string[] | null
  /** Thumbprint of the key that made the DPoP proof. */
  jkt: string | null
  /** Absent when the app has proved who it is before. */
  proof?: AppProof
  defaultIdleSeconds: number
}

/** What an answer to the app is made of. */
export type AdvancedFamily = Pick<
  FamilyRow,
  | 'id'
  | 'clientId'
  | 'identityId'
  | 'scope'
  | 'claims'
  | 'sid'
  | 'acr'
  | 'amr'
  | 'authTime'
  | 'roles'
  | 'audience'
  | 'applicationTokenTtl'
>

/**
 * The rotation: one conditional update with every condition in it. Of any number of racing callers, on any number of
 * processes, exactly one gets a row. Null says only that nothing moved, not why.
 */
export async function advanceFamily(db: Queryable, advance: Advance, now: Date): Promise<AdvancedFamily | null> {
  const result = await db.query<AdvancedFamily>({
    name: 'family-advance',
    text: `UPDATE families f
           SET previous_hash = f.current_hash, current_hash = $4, generation = f.generation + 1, rotated_at = $5, last_used_at = $5,
               idle_expires_at = least(f.expires_at, $5::timestamptz + make_interval(secs => coalesce(a.family_idle, $8::int)))
           FROM identities i, apps a
           WHERE f.id = $1 AND f.client_id = $2 AND f.current_hash = $3 AND f.ended_at IS NULL
             AND f.idle_expires_at > $5 AND f.expires_at > $5
             AND (f.jkt IS NULL OR f.jkt = $6) AND ($7::text[] IS NULL OR string_to_array(f.scope, ' ') @> $7)
             AND i.id = f.identity_id AND i.disabled_at IS NULL AND i.erased_from IS NULL AND a.client_id = f.client_id AND a.disabled_at IS NULL
             AND (NOT $9::boolean OR CASE WHEN a.is_public THEN $10::text IS NULL
               ELSE $10 IN (a.secret_hash, CASE WHEN a.previous_secret_until > $5 THEN a.previous_secret_hash END) END)
           RETURNING f.id, f.client_id AS "clientId", f.identity_id AS "identityId", f.scope, f.claims, f.sid, f.acr, f.amr,
             f.auth_time AS "authTime", i.roles, a.audience, a.application_token_ttl AS "applicationTokenTtl"`,
    values: [
      advance.id,
      advance.clientId,
      advance.presentedHash,
      advance.successorHash,
      now,
      advance.jkt,
      advance.scopes,
      advance.defaultIdleSeconds,
      advance.proof !== undefined,
      advance.proof?.secretHash ?? null,
    ],
  })
  return result.rows[0] ?? null
}

/** Which families to end. Every choice names an owner, so no mistake ends everybody's. */
export type FamilyChoice =
  | { id: string; identityId?: string }
  | { identityId: string; clientId?: string }
  | { identitySessionIds: string[]; keepOffline: boolean }
  | { clientId: string }

export interface EndedFamily {
  id: string
  clientId: string
  identityId: string
}

/** @returns the families that this call ended, however many race; none that had ended before. */
export async function markFamiliesEnded(
  db: Queryable,
  choice: FamilyChoice,
  cause: string,
  now: Date,
): Promise<EndedFamily[]> {
  const values: unknown[] = [now, cause]
  const conditions = ['ended_at IS NULL']
  const where = (condition: string, value: unknown) => conditions.push(condition.replace('?', `$${values.push(value)}`))

  if ('id' in choice) where('id = ?', choice.id)
  if ('identityId' in choice && choice.identityId !== undefined) where('identity_id = ?', choice.identityId)
  if ('clientId' in choice && choice.clientId !== undefined) where('client_id = ?', choice.clientId)
  if ('identitySessionIds' in choice) {
    where('identity_session_id = ANY (?::uuid[])', choice.identitySessionIds)
    if (choice.keepOffline) conditions.push(`NOT string_to_array(scope, ' ') @> ARRAY['offline_access']`)
  }
  const result = await db.query<EndedFamily>(
    `UPDATE families SET ended_at = $1, end_cause = $2 WHERE ${conditions.join(' AND ')}
     RETURNING id, client_id AS "clientId", identity_id AS "identityId"`,
    values,
  )
  return result.rows
}

/** A new sign-in of the same person in the same browser takes over what the one before it had opened. */
export async function updateFamilySession(db: Queryable, from: string, to: string): Promise<void> {
  await db.query('UPDATE families SET identity_session_id = $2 WHERE identity_session_id = $1 AND ended_at IS NULL', [
    from,
    to,
  ])
}

/** Everything living, and the newest `endedLimit` of what has ended for each app. */
export async function listFamilies(
  { pool }: Storage,
  identityId: string,
  now: Date,
  endedLimit: number,
): Promise<FamilyRow[]> {
  const result = await pool.query<FamilyRow>(
    `SELECT * FROM (
       SELECT ${COLUMNS}, row_number() OVER (
         PARTITION BY f.client_id, f.ended_at IS NULL AND f.idle_expires_at > $2 ORDER BY coalesce(f.ended_at, f.created_at) DESC) AS place,
         f.ended_at IS NULL AND f.idle_expires_at > $2 AS living
       FROM ${JOINED} WHERE f.identity_id = $1) listed
     WHERE living OR place <= $3
     ORDER BY "lastUsedAt" DESC LIMIT 1000`,
    [identityId, now, endedLimit],
  )
  return result.rows
}

export async function countEndedFamilies(
  { pool }: Storage,
  identityId: string,
  now: Date,
): Promise<Map<string, number>> {
  const result = await pool.query<{ clientId: string; count: number }>(
    `SELECT client_id AS "clientId", count(*)::int AS count FROM families
     WHERE identity_id = $1 AND (ended_at IS NOT NULL OR idle_expires_at <= $2) GROUP BY client_id`,
    [identityId, now],
  )
  return new Map(result.rows.map((row) => [row.clientId, row.count]))
}

/**
 * Deletes up to `limit` families that ended before then, and as many whose absolute end came before then. Being unused has
 * no index, because a rotation would have to write it: a family that idled away goes by when it would have ended anyway.
 * Whoever comes second leaves alone what somebody holds, so nobody waits for anybody.
 * @returns how many went; fewer than `limit` when nothing is left that is not in somebody's hands.
 */
export async function deleteEndedFamilies(db: Queryable, before: Date, limit: number): Promise<number> {
  // Arrays and orders leave the planner one way, by the index of each, however many rows there are to choose from.
  const result = await db.query(
    `DELETE FROM families WHERE id = ANY (
       ARRAY(SELECT id FROM families WHERE ended_at < $1 ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED)
       || ARRAY(SELECT id FROM families WHERE expires_at < $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED))`,
    [before, limit],
  )
  return result.rowCount ?? 0
}

/** Deletes up to `limit` families of an identity, living or not. @returns how many went */
export async function deleteFamiliesOf(db: Queryable, identityId: string, limit: number): Promise<number> {
  const result = await db.query(
    'DELETE FROM families WHERE id = ANY (ARRAY(SELECT id FROM families WHERE identity_id = $1 LIMIT $2))',
    [identityId, limit],
  )
  return result.rowCount ?? 0
}
