import { GRANTED_APIS, type GrantedApi } from './app-apis.ts'
import { type AppProof, isBoundAsRequired, provesApp } from './apps.ts'
import { APP_CLAIM_COLUMNS, type AppClaimColumns } from './claim-sources.ts'
import type { FamilyRow } from './families.ts'
import { ownSeconds } from './family-lifetimes.ts'
import { familyLives, followsLiving, type Moment } from './liveness.ts'
import type { Queryable } from './postgres.ts'

export interface Advance {
  id: string
  clientId: string
  presentedHash: Buffer
  successorHash: Buffer
  /** Scopes the app asks for; null asks for all. */
  scopes: string[] | null
  /** Which audience the token is for. */
  audience: AskedAudience
  /** Thumbprint of the key that made the DPoP proof. */
  jkt: string | null
  /** Thumbprint of the certificate of the client. */
  x5t: string | null
  /** Absent when the app is authenticated already. With it, a family whose ID token needs claims by name is not rotated. */
  proof?: AppProof
  defaultIdleSeconds: number
  /** The grace window of apps that name none (seconds). */
  defaultGraceSeconds: number
  /** The client that asks: `IP-address User-Agent`. */
  seen: string
}

/**
 * The audience that a refresh asks for: the app's own, or an API. By default that is the family's API where it has exactly one
 * (RFC 8707 §2.2), else the app's own.
 */
export type AskedAudience = 'default' | 'own' | { api: string }

/** The API that a token is for, as the registry has it now. */
export interface TokenApi extends GrantedApi {
  /** The scopes that the authorization granted. */
  granted: string
}

/** What a token response needs, besides what the app has sent. */
export type AdvancedFamily = Pick<
  FamilyRow,
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
  | 'refreshIdToken'
  | 'idTokenAlg'
  | 'applicationTokenAlg'
  | 'tokenKeyId'
  | 'claimsVersion'
  | 'oldestValidVersion'
  | keyof AppClaimColumns
  | 'lifetime'
  | 'idleExpiresAt'
  | 'expiresAt'
> & {
  /** Null where the token is for the app's own audience. */
  api: TokenApi | null
  /** The identity session that it lives and ends with, if it does. */
  followedSessionId: string | null
}

/** How many different clients that refreshed a family its row keeps. */
const SEEN_KEPT = 5

/** How many rotations before the last the row of a family keeps, of those inside the grace window. */
export const EARLIER_ROTATIONS_KEPT = 63

/** Without a grace window a duplicate within this time (seconds) is a double click: it is refused, and ends nothing. */
export const RACE_SECONDS = 2

/** The new value of `earlier_rotations`: with the previous rotation, without those outside the window or beyond the limit. */
const earlierRotations = (now: string, presetGrace: string) => {
  const since = `${now}::timestamptz - make_interval(secs => greatest(coalesce(a.rotation_grace, ${presetGrace}::int), ${RACE_SECONDS}))`
  const tooMany = `cardinality(f.earlier_rotations) - ${EARLIER_ROTATIONS_KEPT - 1}`
  return `CASE WHEN f.rotated_at > ${since} THEN
    (f.earlier_rotations || f.rotated_at)[1 + greatest(0, width_bucket(${since}, f.earlier_rotations), ${tooMany}) :] END`
}

/** The API that the token is for. Evaluated only for a family that has APIs. */
const TARGET = `CASE WHEN $15::boolean
  THEN (SELECT CASE WHEN count(*) = 1 THEN min(api) END FROM jsonb_object_keys(f.resources) api) ELSE $14::text END`
const granted = (target: string) => `g.client_id = f.client_id AND g.kind = 'request' AND g.identifier = ${target}`

/** The authorization and the registry both grant the API. */
const TARGET_IS_GRANTED = `CASE WHEN f.resources IS NULL THEN $14::text IS NULL ELSE
    (SELECT t.target IS NULL OR (f.resources ? t.target AND EXISTS (SELECT FROM app_apis g WHERE ${granted('t.target')}))
     FROM (SELECT ${TARGET} AS target) t) END`

/** What the app may ask for in all: a scope that its token cannot have is left out of it. */
const SCOPES = `string_to_array(f.scope, ' ') ||
  ARRAY(SELECT unnest(string_to_array(scopes, ' ')) FROM jsonb_each_text(f.resources) granted(api, scopes))`

/** The rotation, for families that meet this condition too. */
const advanceText = (follows: string) => `UPDATE families f
  SET previous_hash = f.current_hash, current_hash = $4, generation = f.generation + 1, rotated_at = $5, last_used_at = $5,
      earlier_rotations = ${earlierRotations('$5', '$12')},
      first_rotated_at = coalesce(f.first_rotated_at, $5),
      seen = CASE WHEN f.seen[1] = $11 THEN f.seen ELSE (array_prepend($11, array_remove(f.seen, $11)))[1:${SEEN_KEPT}] END,
      idle_expires_at = least(f.expires_at, $5::timestamptz + ${ownSeconds('family_idle', '$8')})
  FROM identities i, apps a
  WHERE f.id = $1 AND f.client_id = $2 AND f.current_hash = $3 AND i.id = f.identity_id AND a.client_id = f.client_id
    AND ${familyLives('$5', follows)}
    AND (f.jkt IS NULL OR f.jkt = $6) AND (f.x5t IS NULL OR f.x5t = $13) AND ${isBoundAsRequired('a', '$6', '$13')}
    AND ($7::text[] IS NULL OR ${SCOPES} @> $7) AND ${TARGET_IS_GRANTED}
    AND (NOT $9::boolean OR (${provesApp('a', '$10', '$5')} AND NOT (a.refresh_id_token AND f.claims IS NOT NULL)))
  RETURNING f.identity_id AS "identityId", f.scope, f.claims, f.sid, f.acr, f.amr, f.auth_time AS "authTime", i.roles,
    i.claims_version AS "claimsVersion", f.claims_version AS "oldestValidVersion", a.audience,
    a.application_token_ttl AS "applicationTokenTtl", a.refresh_id_token AS "refreshIdToken", a.id_token_alg AS "idTokenAlg",
    a.application_token_alg AS "applicationTokenAlg", a.token_key_id AS "tokenKeyId",
    f.lifetime, f.idle_expires_at AS "idleExpiresAt", f.expires_at AS "expiresAt",
    CASE WHEN f.resources IS NOT NULL THEN (
      SELECT json_build_object('identifier', g.identifier, 'scopes', g.scopes, 'tokenTtl', r.token_ttl, 'signingAlg', r.signing_alg,
        'granted', f.resources ->> g.identifier) FROM ${GRANTED_APIS} WHERE ${granted(`(${TARGET})`)}) END AS api,
    ${APP_CLAIM_COLUMNS}, CASE WHEN f.lifetime = 'session' THEN f.identity_session_id END AS "followedSessionId"`

const ADVANCE_FREE = advanceText(`f.lifetime <> 'session'`)
const ADVANCE_ANY = advanceText(followsLiving('$5', '$16'))

/**
 * Refresh token rotation: one conditional update with every condition in it (compare and set). Of callers that race, in any
 * number of processes, exactly one gets a row. Null says only that no row changed, not why. A family that follows its identity
 * session is rotated only with `looksAtSession`: that check adds a tenth to the cost, and most families follow none.
 */
export async function advanceFamily(
  db: Queryable,
  advance: Advance,
  { now, seenSince }: Moment,
  looksAtSession: boolean,
): Promise<AdvancedFamily | null> {
  const result = await db.query<AdvancedFamily>({
    name: looksAtSession ? 'family-advance-any' : 'family-advance',
    text: looksAtSession ? ADVANCE_ANY : ADVANCE_FREE,
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
      advance.seen,
      advance.defaultGraceSeconds,
      advance.x5t,
      typeof advance.audience === 'object' ? advance.audience.api : null,
      advance.audience === 'default',
      ...(looksAtSession ? [seenSince] : []),
    ],
  })
  return result.rows[0] ?? null
}
