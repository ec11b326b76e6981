import { type AppProof, provesApp, takesBearerTokens } from './apps.ts'
import { APP_CLAIM_COLUMNS, type AppClaimColumns, CLAIM_OBJECT, type JsonClaimSource } from './claim-sources.ts'
import { ownSeconds } from './family-lifetimes.ts'
import { CONSENTED } from './consents.ts'
import { OPENED_COLUMNS, type OpenedFamily, OPENING } from './family-openings.ts'
import { APP_LIVES, IDENTITY_LIVES, MAY_ENTER } from './liveness.ts'
import { type ProtocolRecords, recordKeyOf } from './protocol-records.ts'
import type { Queryable } from './postgres.ts'

/** The kind of protocol record that an authorization code is. */
export const CODE_KIND = 'AuthorizationCode'

/** What an app presents with a code, and what its family needs. */
export interface Redemption {
  code: string
  clientId: string
  proof: AppProof
  redirectUri: string
  /** Made of the verifier (RFC 7636 §4.6). */
  challenge: string
  familyId: string
  /** Of the family's first refresh token. */
  currentHash: Buffer
  /** For apps without settings of their own. */
  preset: { lifetime: string; familyIdle: number; familyMax: number; applicationToken: number }
}

/** A redeemed code, and the family that was opened with it. */
export interface RedeemedCode extends AppClaimColumns, OpenedFamily {
  /** The record of the code. */
  record: Record<string, unknown>
  claimSource: JsonClaimSource
  roles: string[]
  claimsVersion: number
  audience: string
  appScope: string
  applicationTokenTtl: number | null
  idTokenAlg: string
  applicationTokenAlg: string
  tokenKeyId: string | null
}

/**
 * Codes that apps exchange in the usual way: with S256, without DPoP or a certificate, claims by name or `offline_access`. Both
 * stores behave the same; one suite of tests runs over both.
 */
export interface Codes {
  /**
   * Redeems the code and opens its family, for the first call only. Null when any condition fails; the code is still unused then,
   * unless its sign-in ended at the same moment.
   */
  redeem(redemption: Redemption, now: Date): Promise<RedeemedCode | null>
  /** Whether a code that is presented twice may be seen before its family is. */
  readonly opensLater: boolean
}

export function postgresCodes(db: Queryable): Codes {
  return {
    opensLater: false,
    async redeem(redemption, now) {
      const result = await db.query<Row>({
        name: 'code-redeem',
        text: REDEEM,
        values: valuesOf(recordKeyOf(CODE_KIND, redemption.code), redemption, now),
      })
      return fromRow(result.rows[0])
    },
  }
}

/** With codes in Redis: everything is checked before the compare-and-set there, and once more by the statement that opens the family. */
export function redisCodes(db: Queryable, protocolRecords: ProtocolRecords): Codes {
  return {
    opensLater: true,
    async redeem(redemption, now) {
      const found = await protocolRecords.find(CODE_KIND, redemption.code)
      if (found === null || found.consumed) return null
      const values = valuesOf(JSON.stringify(found.payload), redemption, now)
      const { rowCount } = await db.query({ name: 'code-check', text: CHECK, values })
      if (rowCount !== 1 || !(await protocolRecords.consume(CODE_KIND, redemption.code))) return null
      const result = await db.query<Row>({ name: 'code-open', text: OPEN, values })
      return fromRow(result.rows[0])
    },
  }
}

type Row = Omit<RedeemedCode, 'record'> & { payload: string }

function fromRow(row: Row | undefined): RedeemedCode | null {
  if (row === undefined) return null
  const { payload, ...rest } = row
  return { ...rest, record: JSON.parse(payload) as Record<string, unknown> }
}

function valuesOf(subject: string, redemption: Redemption, now: Date): unknown[] {
  const { familyId, clientId, proof, redirectUri, challenge, currentHash, preset } = redemption
  return [
    subject,
    now,
    familyId,
    clientId,
    proof.secretHash,
    redirectUri,
    challenge,
    currentHash,
    preset.lifetime,
    preset.familyIdle,
    preset.familyMax,
    preset.applicationToken,
  ]
}

/**
 * The row of the family to open, for `OPENING`, and the columns of the token response. `f` is the family as far as
 * `ownSeconds` looks at it. The session, the identity and the app are locked, so that none of them ends meanwhile.
 */
const sourceOf = (columns: string, records: string, conditions: string, held: string) => `source AS (
  SELECT ${columns}, $3::uuid AS id, a.client_id, i.id AS identity_id, s.id AS session_id, $8::bytea AS current_hash, c.scope, NULL AS claims, c.sid, c.acr,
    coalesce(c.amr, '{}') AS amr, c."authTime" AS auth_time, NULL AS jkt, NULL AS x5t, $2::timestamptz AS now, e.idle, e.absolute, f.lifetime, s.browser, s.address,
    i.claims_version, NULL::timestamptz AS stale_since, NULL::jsonb AS resources, coalesce((c.pending ->> 'openedSilently')::boolean, false) AS opened_silently,
    coalesce(a.application_token_ttl, $12::int) AS token_seconds, i.roles, a.audience, a.scope AS app_scope,
    a.application_token_ttl, a.id_token_alg, a.application_token_alg, a.token_key_id, ${CLAIM_OBJECT} AS "claimSource", ${APP_CLAIM_COLUMNS}
  FROM ${records},
    LATERAL json_to_record(h.payload::json) AS c("clientId" text, "accountId" uuid, "grantId" uuid, "redirectUri" text, "codeChallenge" text,
      "codeChallengeMethod" text, scope text, resource text, sid text, acr text, amr text[], "authTime" int, claims json, "dpopJkt" text, pending json),
    apps a, identities i, identity_sessions s,
    LATERAL (SELECT coalesce(a.family_lifetime, $9) AS lifetime) f,
    LATERAL (SELECT $2::timestamptz + ${ownSeconds('family_idle', '$10')} AS idle, $2::timestamptz + ${ownSeconds('family_max', '$11')} AS absolute,
      CASE WHEN f.lifetime = 'session' THEN s.expires_at END AS session) t,
    LATERAL (SELECT least(t.idle, t.absolute, t.session) AS idle, least(t.absolute, t.session) AS absolute) e
  WHERE ${conditions} AND c."grantId" = $3 AND c."clientId" = $4 AND c."redirectUri" = $6 AND c."codeChallenge" = $7 AND c."codeChallengeMethod" = 'S256'
    AND c.claims IS NULL AND c."dpopJkt" IS NULL AND c."authTime" IS NOT NULL AND NOT string_to_array(c.scope, ' ') @> '{offline_access}'
    AND a.client_id = $4 AND ${APP_LIVES} AND ${provesApp('a', '$5', '$2')} AND ${takesBearerTokens('a')}
    AND c.resource IN (a.audience, 'urn:gatehouse:audience:' || a.audience)
    AND s.id = (c.pending ->> 'identitySessionId')::uuid AND s.ended_at IS NULL AND s.expires_at > $2
    AND i.id = s.identity_id AND i.id = c."accountId" AND ${IDENTITY_LIVES} AND ${MAY_ENTER} AND ${CONSENTED}
  FOR SHARE OF i, s, a${held})`

const ANSWER = `payload, "claimSource", "appRoles", "sectorUri", groups, "wantedClaims", roles, claims_version AS "claimsVersion",
  audience, app_scope AS "appScope", application_token_ttl AS "applicationTokenTtl", id_token_alg AS "idTokenAlg",
  application_token_alg AS "applicationTokenAlg", token_key_id AS "tokenKeyId", ${OPENED_COLUMNS}`

// Of the callers that race for a code one locks its row; the others wait for that one, and find the code used.
const REDEEM = `WITH ${sourceOf(
  'h.id AS key, h.payload',
  'handshakes h',
  'h.id = $1 AND h.consumed_at IS NULL AND h.expires_at > $2',
  ' FOR UPDATE OF h',
)},
  taken AS (UPDATE handshakes SET consumed_at = $2 FROM source WHERE handshakes.id = source.key),
  ${OPENING}
SELECT ${ANSWER} FROM source`

const PRESENTED = sourceOf('h.payload', '(SELECT $1::text AS payload) h', 'true', '')
const CHECK = `WITH ${PRESENTED} SELECT FROM source`
const OPEN = `WITH ${PRESENTED}, ${OPENING} SELECT ${ANSWER} FROM source`
