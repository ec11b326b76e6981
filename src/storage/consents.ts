import type { Queryable } from './postgres.ts'

/** What a user lets a third-party app have: scopes of the portal and of its own audience, and those of other APIs by identifier. */
export interface ConsentRow {
  identityId: string
  clientId: string
  scopes: string[]
  resources: Record<string, string[]>
  givenAt: Date
  updatedAt: Date
}

/** A consent, with the name of its app. */
export type ListedConsentRow = ConsentRow & { appName: string }

const COLUMNS = `c.identity_id AS "identityId", c.client_id AS "clientId", c.scopes, c.resources, c.given_at AS "givenAt", c.updated_at AS "updatedAt"`

/**
 * The condition that the user `i` lets the app `a` in, for what opens a family. It locks the consent, so a family that is opened
 * while the consent is withdrawn either ends with it or is not opened. Nothing is read for an app that is no third party.
 */
export const CONSENTED = `(NOT a.is_third_party OR EXISTS (
  SELECT FROM consents c WHERE c.identity_id = i.id AND c.client_id = a.client_id FOR SHARE))`

export async function findConsent(db: Queryable, identityId: string, clientId: string): Promise<ConsentRow | null> {
  const result = await db.query<ConsentRow>({
    name: 'consent-find',
    text: `SELECT ${COLUMNS} FROM consents c WHERE c.identity_id = $1 AND c.client_id = $2`,
    values: [identityId, clientId],
  })
  return result.rows[0] ?? null
}

/** Inserts a consent, or replaces what it lets the app have. */
export async function putConsent(
  db: Queryable,
  { identityId, clientId, scopes, resources }: Pick<ConsentRow, 'identityId' | 'clientId' | 'scopes' | 'resources'>,
  now: Date,
): Promise<void> {
  await db.query(
    `INSERT INTO consents (identity_id, client_id, scopes, resources, given_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5)
     ON CONFLICT (identity_id, client_id) DO UPDATE SET scopes = EXCLUDED.scopes, resources = EXCLUDED.resources, updated_at = EXCLUDED.updated_at`,
    [identityId, clientId, scopes, JSON.stringify(resources), now],
  )
}

/** True for the one call that deleted it. */
export async function deleteConsent(db: Queryable, identityId: string, clientId: string): Promise<boolean> {
  const result = await db.query('DELETE FROM consents WHERE identity_id = $1 AND client_id = $2', [
    identityId,
    clientId,
  ])
  return result.rowCount === 1
}

/** All of a user, by the name of the app. */
export async function listConsents(db: Queryable, identityId: string): Promise<ListedConsentRow[]> {
  const result = await db.query<ListedConsentRow>(
    `SELECT ${COLUMNS}, a.name AS "appName" FROM consents c JOIN apps a ON a.client_id = c.client_id
     WHERE c.identity_id = $1 ORDER BY a.name, c.client_id`,
    [identityId],
  )
  return result.rows
}
