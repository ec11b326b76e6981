import type { Queryable } from './postgres.ts'

// Data export. No statement here selects a hash, a key or a secret, so none can get into a file.

export async function findProfile(db: Queryable, identityId: string): Promise<Record<string, unknown> | null> {
  const result = await db.query<Record<string, unknown>>(
    `SELECT id, username, email, email_verified, name, given_name, family_name, nickname, picture, phone_number, address, locale, zoneinfo,
       roles, app_roles, attributes, source_id, created_at, updated_at, terms_version, terms_accepted_at,
       (SELECT jsonb_build_object('user_name', d.user_name, 'external_id', d.external_id, 'attributes', d.attributes)
        FROM directory_users d WHERE d.identity_id = i.id) AS directory FROM identities i WHERE id = $1`,
    [identityId],
  )
  return result.rows[0] ?? null
}

export interface ExportedClient {
  browser: string
  address: string
}

export type ExportedSession = ExportedClient & { end_cause: string | null } & Record<string, unknown>

/** Newest first, ended or not. */
export async function listSessionsToExport(db: Queryable, identityId: string): Promise<ExportedSession[]> {
  const result = await db.query<ExportedSession>(
    `SELECT id, created_at AS signed_in_at, last_seen_at, expires_at, ended_at, end_cause, amr AS ways, browser, address
     FROM identity_sessions WHERE identity_id = $1 ORDER BY created_at DESC`,
    [identityId],
  )
  return result.rows
}

export type ExportedFamily = ExportedClient & {
  id: string
  opened_at: Date
  refreshes: number
  end_cause: string | null
  end_browser: string | null
  end_address: string | null
  end_generation: number | null
} & Record<string, unknown>

/** Newest first, ended or not; `before` is the one to go on from. */
export async function listFamiliesToExport(
  db: Queryable,
  identityId: string,
  before: { id: string; opened_at: Date } | null,
  limit: number,
): Promise<ExportedFamily[]> {
  const result = await db.query<ExportedFamily>(
    `SELECT f.id, f.client_id AS app, a.name AS app_name, f.scope, f.created_at AS opened_at, f.last_used_at, f.generation AS refreshes,
       f.first_rotated_at AS first_refreshed_at, f.rotated_at AS last_refreshed_at, f.seen AS refreshed_by, f.lifetime AS lasts_with,
       f.idle_expires_at, f.expires_at, f.ended_at, f.end_cause, f.end_browser, f.end_address, f.end_generation, f.browser, f.address,
       (SELECT coalesce(json_agg(json_build_object('kind', l.kind, 'count', l.count, 'first_at', l.first_at, 'last_at', l.last_at,
          'generation', l.generation, 'browser', l.browser, 'address', l.address) ORDER BY l.first_at), '[]')
        FROM ledger_entries l WHERE l.family_id = f.id) AS ledger
     FROM families f JOIN apps a ON a.client_id = f.client_id
     WHERE f.identity_id = $1 AND ($2::timestamptz IS NULL OR (f.created_at, f.id) < ($2, $3))
     ORDER BY f.created_at DESC, f.id DESC LIMIT $4`,
    [identityId, before?.opened_at ?? null, before?.id ?? null, limit],
  )
  return result.rows
}

export async function listDevicesToExport(
  db: Queryable,
  identityId: string,
): Promise<(ExportedClient & Record<string, unknown>)[]> {
  const result = await db.query<ExportedClient & Record<string, unknown>>(
    'SELECT first_seen_at, last_seen_at, browser, address, trusted_until FROM devices WHERE identity_id = $1 ORDER BY first_seen_at',
    [identityId],
  )
  return result.rows
}

export async function listSecondFactorsToExport(
  db: Queryable,
  identityId: string,
): Promise<Record<string, Record<string, unknown>[]>> {
  const list = async (text: string) => (await db.query<Record<string, unknown>>(text, [identityId])).rows
  return {
    authenticator_apps: await list(
      'SELECT name, created_at, last_used_at FROM totp_keys WHERE identity_id = $1 ORDER BY created_at',
    ),
    passkeys: await list(
      'SELECT name, backed_up, created_at, last_used_at FROM passkeys WHERE identity_id = $1 ORDER BY created_at',
    ),
    recovery_codes: await list(
      'SELECT created_at, used_at FROM recovery_codes WHERE identity_id = $1 ORDER BY created_at, used_at',
    ),
  }
}

export async function listMailLinksToExport(db: Queryable, identityId: string): Promise<Record<string, unknown>[]> {
  const result = await db.query<Record<string, unknown>>(
    'SELECT purpose, email, created_at, expires_at FROM mail_links WHERE identity_id = $1 ORDER BY created_at',
    [identityId],
  )
  return result.rows
}

/** Accounts at other providers; tokens that are kept of them stay out. */
export async function listLinkedAccountsToExport(
  db: Queryable,
  identityId: string,
): Promise<Record<string, unknown>[]> {
  const result = await db.query<Record<string, unknown>>(
    `SELECT p.name AS provider, l.subject, l.email, l.created_at AS linked_at, l.last_used_at
     FROM linked_accounts l JOIN identity_providers p ON p.id = l.provider_id WHERE l.identity_id = $1 ORDER BY l.created_at`,
    [identityId],
  )
  return result.rows
}

/** What the user lets third-party apps have. */
export async function listConsentsToExport(db: Queryable, identityId: string): Promise<Record<string, unknown>[]> {
  const result = await db.query<Record<string, unknown>>(
    'SELECT client_id AS app, scopes, resources, given_at, updated_at FROM consents WHERE identity_id = $1 ORDER BY given_at',
    [identityId],
  )
  return result.rows
}

/** The apps that said what they see of the account when they were opened first. */
export async function listIntroductionsToExport(db: Queryable, identityId: string): Promise<Record<string, unknown>[]> {
  const result = await db.query<Record<string, unknown>>(
    'SELECT client_id AS app, read_at FROM introductions WHERE identity_id = $1 ORDER BY read_at',
    [identityId],
  )
  return result.rows
}
