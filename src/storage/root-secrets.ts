import type { PortalProcess as PortalProcessRow, RootSecret as RootSecretRow } from './client/client.ts'
import type { Queryable } from './postgres.ts'

export type { PortalProcessRow, RootSecretRow }

/** Notes that a running process has these keys and secrets, the first of which signs, and forgets processes that were last seen before `gone`. */
export async function noteProcess(
  db: Queryable,
  { id, rootSecrets, seenAt, signingKeysId }: PortalProcessRow,
  gone: Date,
): Promise<void> {
  // In the order of their ids: two processes with the secrets in another order must not lock each other out.
  await db.query(
    `INSERT INTO root_secrets (id, first_seen_at, last_seen_at, first_signed_at, last_signed_at)
     SELECT id, $2, $2, signed_at, signed_at
     FROM (SELECT id, CASE WHEN place = 1 THEN $2::timestamptz END AS signed_at FROM unnest($1::text[]) WITH ORDINALITY AS u (id, place)) AS given
     ORDER BY id
     ON CONFLICT (id) DO UPDATE SET
       last_seen_at = GREATEST(root_secrets.last_seen_at, EXCLUDED.last_seen_at),
       first_signed_at = COALESCE(root_secrets.first_signed_at, EXCLUDED.first_signed_at),
       last_signed_at = GREATEST(root_secrets.last_signed_at, EXCLUDED.last_signed_at),
       rewrapped_at = CASE WHEN EXCLUDED.last_signed_at IS NULL THEN root_secrets.rewrapped_at END`,
    [rootSecrets, seenAt],
  )
  await db.query(
    `WITH gone AS (DELETE FROM portal_processes WHERE seen_at < $4)
     INSERT INTO portal_processes (id, root_secrets, seen_at, signing_keys_id) VALUES ($1, $2, $3, $5)
     ON CONFLICT (id) DO UPDATE SET root_secrets = EXCLUDED.root_secrets, seen_at = EXCLUDED.seen_at,
       signing_keys_id = EXCLUDED.signing_keys_id`,
    [id, rootSecrets, seenAt, gone, signingKeysId],
  )
}

export async function deleteProcess(db: Queryable, id: string): Promise<void> {
  await db.query('DELETE FROM portal_processes WHERE id = $1', [id])
}

/** Processes that were seen since then. */
export async function listProcesses(db: Queryable, since: Date): Promise<PortalProcessRow[]> {
  const result = await db.query<PortalProcessRow>(
    `SELECT id, root_secrets AS "rootSecrets", seen_at AS "seenAt", signing_keys_id AS "signingKeysId"
     FROM portal_processes WHERE seen_at >= $1 ORDER BY seen_at, id`,
    [since],
  )
  return result.rows
}

/** Every secret there was, the oldest first. */
export async function listRootSecrets(db: Queryable): Promise<RootSecretRow[]> {
  const result = await db.query<RootSecretRow>(
    `SELECT id, first_seen_at AS "firstSeenAt", last_seen_at AS "lastSeenAt", first_signed_at AS "firstSignedAt",
       last_signed_at AS "lastSignedAt", kept_keys AS "keptKeys", rewrapped_at AS "rewrappedAt"
     FROM root_secrets ORDER BY first_seen_at, id`,
  )
  return result.rows
}

/** Keeps the keys of a secret; null erases them. */
export async function updateKeptKeys(db: Queryable, id: string, keptKeys: string | null): Promise<void> {
  await db.query('UPDATE root_secrets SET kept_keys = $2 WHERE id = $1', [id, keptKeys])
}

/** Notes since when nothing is encrypted under these secrets. */
export async function markRewrapped(db: Queryable, ids: string[], now: Date): Promise<void> {
  await db.query('UPDATE root_secrets SET rewrapped_at = $2 WHERE id = ANY ($1::text[])', [ids, now])
}

/** What users and apps have in hand that one of the root secrets verifies. */
export interface MadeUnder {
  what: 'refresh_tokens' | 'sign_ins' | 'trusted_browsers' | 'mailed_links' | 'recovery_codes' | 'requests_in_progress'
  /** Null where they are not counted. */
  count: number | null
  /** When the last of them expires; null where they do not. */
  until: Date | null
}

/** What was made until then, and is in use now. A refresh makes a token anew, so only families that were not used since count. */
export async function countMadeUntil(db: Queryable, until: Date, now: Date): Promise<MadeUnder[]> {
  const result = await db.query<MadeUnder>(
    `SELECT 'refresh_tokens' AS what, count(*)::int AS count, max(LEAST(idle_expires_at, expires_at)) AS until FROM families
       WHERE ended_at IS NULL AND last_used_at <= $1 AND idle_expires_at > $2 AND expires_at > $2
     UNION ALL SELECT 'sign_ins', count(*)::int, max(expires_at) FROM identity_sessions
       WHERE ended_at IS NULL AND created_at <= $1 AND expires_at > $2
     UNION ALL SELECT 'trusted_browsers', count(*)::int, max(trusted_until) FROM devices
       WHERE first_seen_at <= $1 AND trusted_until > $2
     UNION ALL SELECT 'mailed_links', count(*)::int, max(expires_at) FROM
       (SELECT created_at, expires_at FROM mail_links UNION ALL SELECT created_at, expires_at FROM invitations) AS links
       WHERE created_at <= $1 AND expires_at > $2
     UNION ALL SELECT 'recovery_codes', count(*)::int, NULL FROM recovery_codes WHERE created_at <= $1 AND used_at IS NULL`,
    [until, now],
  )
  return result.rows
}

/** Deletes what is known of these secrets, in a transaction that inserts it anew. */
export async function deleteRootSecrets(db: Queryable, ids: string[]): Promise<void> {
  await db.query('DELETE FROM root_secrets WHERE id = ANY ($1)', [ids])
}
