import type { IncomingMessage, ServerResponse } from 'node:http'
import { applicationTokenClaims } from '../../src/domain/families/application-tokens.ts'
import { hashRefreshToken, parseRefreshToken, successorOf } from '../../src/domain/families/refresh-tokens.ts'
import { epochSeconds } from '../../src/domain/time.ts'
import { answerJson, clientIdOf, type Floor } from './request.ts'

interface Row {
  id: string
  identityId: string
  clientId: string
  audience: string
  roles: string[]
  scope: string
  ttl: number | null
}

/** One statement, one signature. */
export async function refresh(
  { services, signer }: Floor,
  req: IncomingMessage,
  res: ServerResponse,
  form: URLSearchParams,
): Promise<void> {
  const presented = form.get('refresh_token') ?? ''
  const token = parseRefreshToken(presented, services.secrets)
  if (token === null) return answerJson(res, 400, '{"error":"invalid_grant"}')

  const successor = successorOf(token, services.secrets[0])
  const { rows } = await services.storage.pool.query<Row>({
    name: 'floor-refresh',
    text: ADVANCE,
    values: [
      token.familyId,
      clientIdOf(req),
      hashRefreshToken(presented),
      hashRefreshToken(successor),
      services.clock(),
      null,
      null,
      services.lifetimes.familyIdle,
    ],
  })
  const family = rows[0]
  if (family === undefined) return answerJson(res, 400, '{"error":"invalid_grant"}')

  const signIn = { claimsVersion: 0, authTime: epochSeconds(services.clock()), acr: 'aal1', amr: ['pwd'] }
  const { id: familyId, audience, ttl } = family
  const own = { audience, appRoles: null, groups: null, wantedClaims: null }
  const subject = { ...family, ...signIn, own, sectorUri: null, familyId, jkt: null }
  const claims = applicationTokenClaims(services, subject, ttl)
  answerJson(
    res,
    200,
    JSON.stringify({
      access_token: signer.applicationToken(claims),
      expires_in: claims.exp - claims.iat,
      refresh_token: successor,
      scope: family.scope,
      token_type: 'Bearer',
    }),
  )
}

// The portal's first rotation statement, returning only what an answer needs. It is a copy on purpose: a yardstick must not
// shrink together with what it measures.
const ADVANCE = `UPDATE families f
  SET previous_hash = f.current_hash, current_hash = $4, generation = f.generation + 1, rotated_at = $5, last_used_at = $5,
      idle_expires_at = least(f.expires_at, $5::timestamptz + make_interval(secs => coalesce(a.family_idle, $8::int)))
  FROM identities i, apps a
  WHERE f.id = $1 AND f.client_id = $2 AND f.current_hash = $3 AND f.ended_at IS NULL
    AND f.idle_expires_at > $5 AND f.expires_at > $5
    AND (f.jkt IS NULL OR f.jkt = $6) AND ($7::text[] IS NULL OR string_to_array(f.scope, ' ') @> $7)
    AND i.id = f.identity_id AND i.disabled_at IS NULL AND a.client_id = f.client_id AND a.disabled_at IS NULL
  RETURNING f.id, f.identity_id AS "identityId", f.client_id AS "clientId", a.audience, i.roles, f.scope,
    a.application_token_ttl AS ttl`
