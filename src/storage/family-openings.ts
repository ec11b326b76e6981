import { CONSENTED } from './consents.ts'
import { APP_LIVES, IDENTITY_LIVES, MAY_ENTER } from './liveness.ts'
import type { Queryable } from './postgres.ts'

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
  /** Thumbprint of the certificate that each refresh must come with (RFC 8705 §4); null for none. */
  x5t: string | null
  lifetime: string
  /** Null with a lifetime that sets no end of its own. */
  idleExpiresAt: Date | null
  expiresAt: Date | null
  /** Of the claims in its first application token, which is signed by now. */
  claimsVersion: number
  /** By an authorization with `prompt=none`. */
  openedSilently: boolean
  /** What it was granted of APIs, by identifier; null for none. */
  resources: Record<string, string> | null
  /** How long an application token lives (seconds) of an app that sets no time of its own. */
  defaultTokenSeconds: number
}

/**
 * Opens the family in the row of `source`, and inserts the audit event. A family that is opened silently replaces those that were
 * opened silently in the same identity session for the same app, have no further scope or API, have never been refreshed, and whose
 * only application token has expired. SKIP LOCKED: a family that is being refreshed or ended stays, and no exchange waits for
 * one, so there is no deadlock. Of a refresh and a replacement that race, the first to commit wins. LATERAL: only a silent
 * exchange looks for others.
 */
export const OPENING = `opened AS (
  INSERT INTO families (id, client_id, identity_id, identity_session_id, current_hash, scope, claims, sid, acr, amr, auth_time, jkt, x5t, created_at,
    last_used_at, idle_expires_at, expires_at, review_at, lifetime, browser, address, claims_version, stale_since, opened_silently, resources)
  SELECT id, client_id, identity_id, session_id, current_hash, scope, claims, sid, acr, amr, auth_time, jkt, x5t, now,
    now, idle, absolute, idle, lifetime, browser, address, claims_version, stale_since, opened_silently, resources FROM source),
  untouched AS (
  SELECT silent.id FROM source, LATERAL (
    SELECT f.id FROM families f
    WHERE f.identity_session_id = source.session_id AND f.client_id = source.client_id AND f.opened_silently AND f.ended_at IS NULL
      AND f.generation = 0 AND f.created_at <= source.now - make_interval(secs => source.token_seconds) AND f.idle_expires_at > source.now
      AND f.lifetime = source.lifetime AND string_to_array(source.scope, ' ') @> string_to_array(f.scope, ' ')
      AND (f.resources IS NULL OR f.resources = source.resources)
    FOR NO KEY UPDATE SKIP LOCKED) silent
  WHERE source.opened_silently),
  replaced AS (
  UPDATE families f SET ended_at = source.now, end_cause = 'replaced', end_browser = source.browser, end_address = source.address,
    replaced_by = source.id
  FROM source, untouched WHERE f.id = untouched.id RETURNING f.id),
  written AS (
  INSERT INTO audit_events (at, kind, identity_id, client_id, family_id, cause, detail, browser, address)
  SELECT now, 'family_ended', identity_id, client_id, replaced.id, 'replaced', NULL, browser, address FROM source, replaced
  UNION ALL SELECT now, 'family_opened', identity_id, client_id, id, NULL,
    CASE WHEN EXISTS (SELECT FROM replaced) THEN 'renewal' WHEN opened_silently THEN 'silent' END, browser, address FROM source)`

/** A family that was opened. */
export interface OpenedFamily {
  /** The ids of the families that it has replaced. */
  replaced: string[]
  lifetime: string
  idleExpiresAt: Date
  expiresAt: Date
}

/** The same, as columns of `source`. */
export const OPENED_COLUMNS =
  'ARRAY(SELECT id FROM replaced) AS replaced, lifetime, idle AS "idleExpiresAt", absolute AS "expiresAt"'

/**
 * Opens a family with the client info of its identity session and inserts the audit event, in one statement. Null when the session
 * has ended, the identity or the app is disabled, or the one may no longer enter the other: a code must not outlive its sign-in. A family that follows
 * its session lasts no longer than that. When roles have changed in the meantime, its first token is stale from the start.
 */
export async function insertFamily(db: Queryable, family: NewFamily, now: Date): Promise<OpenedFamily | null> {
  const result = await db.query<OpenedFamily>({
    name: 'family-insert',
    text: `WITH source AS (
       SELECT $1::uuid AS id, a.client_id, i.id AS identity_id, s.id AS session_id, $5::bytea AS current_hash, $6 AS scope, $7 AS claims, $8 AS sid,
         $9 AS acr, $10::text[] AS amr, $11::int AS auth_time, $12 AS jkt, $20 AS x5t, $13::timestamptz AS now, e.idle, e.absolute, $16 AS lifetime, s.browser,
         s.address, i.claims_version, CASE WHEN i.claims_version <> $17::int THEN $13::timestamptz END AS stale_since, $18::boolean AS opened_silently,
         coalesce(a.application_token_ttl, $19::int) AS token_seconds, $21::jsonb AS resources
       FROM identity_sessions s JOIN identities i ON i.id = s.identity_id JOIN apps a ON a.client_id = $2,
         LATERAL (SELECT least($14::timestamptz, $15::timestamptz, CASE WHEN $16::text = 'session' THEN s.expires_at END) AS idle,
           least($15::timestamptz, CASE WHEN $16::text = 'session' THEN s.expires_at END) AS absolute) e
       WHERE s.id = $4 AND i.id = $3 AND s.ended_at IS NULL AND s.expires_at > $13 AND ${IDENTITY_LIVES} AND ${APP_LIVES} AND ${MAY_ENTER} AND ${CONSENTED}
       FOR SHARE OF i, s, a),
     ${OPENING}
     SELECT ${OPENED_COLUMNS} FROM source`,
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
      family.lifetime,
      family.claimsVersion,
      family.openedSilently,
      family.defaultTokenSeconds,
      family.x5t,
      family.resources,
    ],
  })
  return result.rows[0] ?? null
}

export type NewDeviceFamily = Omit<
  NewFamily,
  'identitySessionId' | 'openedSilently' | 'defaultTokenSeconds' | 'idleExpiresAt' | 'expiresAt'
> & {
  idleExpiresAt: Date
  expiresAt: Date
  /** The client info of the device. */
  browser: string
  address: string
  /** How often the identity had been signed out everywhere when its user approved the device. */
  signOuts: number
}

/**
 * The same for a device, which has no identity session. Null when the identity was signed out everywhere since its approval, or
 * it or the app is disabled, or it may no longer enter the app.
 */
export async function insertDeviceFamily(
  db: Queryable,
  family: NewDeviceFamily,
  now: Date,
): Promise<OpenedFamily | null> {
  const result = await db.query<OpenedFamily>({
    name: 'family-insert-device',
    text: `WITH source AS (
       SELECT $1::uuid AS id, a.client_id, i.id AS identity_id, NULL::uuid AS session_id, $4::bytea AS current_hash, $5 AS scope, $6 AS claims, $7 AS sid,
         $8 AS acr, $9::text[] AS amr, $10::int AS auth_time, $11 AS jkt, $20 AS x5t, $12::timestamptz AS now, $13::timestamptz AS idle, $14::timestamptz AS absolute,
         $15 AS lifetime, $16 AS browser, $17 AS address, i.claims_version, CASE WHEN i.claims_version <> $18::int THEN $12::timestamptz END AS stale_since,
         false AS opened_silently, 0 AS token_seconds, $21::jsonb AS resources
       FROM identities i, apps a
       WHERE i.id = $3 AND a.client_id = $2 AND a.is_device AND i.sign_outs = $19 AND ${IDENTITY_LIVES} AND ${APP_LIVES} AND ${MAY_ENTER} AND ${CONSENTED}
       FOR SHARE OF i, a),
     ${OPENING}
     SELECT ${OPENED_COLUMNS} FROM source`,
    values: [
      family.id,
      family.clientId,
      family.identityId,
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
      family.lifetime,
      family.browser,
      family.address,
      family.claimsVersion,
      family.signOuts,
      family.x5t,
      family.resources,
    ],
  })
  return result.rows[0] ?? null
}
