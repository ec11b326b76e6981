import type { Queryable } from './postgres.ts'

/** Whether every one of these apps is registered and enabled, and none has been disabled since its token was issued (seconds since 1970). */
export async function areCallersEnabled(db: Queryable, clientIds: string[], issuedAt: number): Promise<boolean> {
  const { rows } = await db.query<{ enabled: boolean }>({
    name: 'token-callers-enabled',
    text: `SELECT count(*) = cardinality($1::text[]) AS enabled FROM apps a
           WHERE a.client_id = ANY ($1) AND a.disabled_at IS NULL
             AND (a.revoked_before IS NULL OR date_trunc('second', a.revoked_before) <= to_timestamp($2))`,
    values: [clientIds, issuedAt],
  })
  return rows[0]?.enabled === true
}

/**
 * The scopes that an enabled service may have of an API at this moment; null when it may have none, or has been disabled since its
 * token was issued (seconds since 1970).
 */
export async function findServiceScopes(
  db: Queryable,
  clientId: string,
  identifier: string,
  issuedAt: number,
): Promise<string[] | null> {
  const { rows } = await db.query<{ scopes: string[] }>({
    name: 'service-scopes',
    text: `SELECT g.scopes FROM apps a JOIN app_apis g ON g.client_id = a.client_id AND g.kind = 'request' AND g.identifier = $2
           WHERE a.client_id = $1 AND a.is_service AND a.disabled_at IS NULL
             AND (a.revoked_before IS NULL OR date_trunc('second', a.revoked_before) <= to_timestamp($3))`,
    values: [clientId, identifier, issuedAt],
  })
  return rows[0]?.scopes ?? null
}
