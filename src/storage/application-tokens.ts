import { type AppProof, provesApp, provesSecret } from './apps.ts'
import { APP_ROLES, type AppClaimColumns, CLAIM_COLUMNS, type ClaimSource, SECTOR_URI } from './claim-sources.ts'
import type { FamilyRow } from './families.ts'
import { familyLives, followsLiving, type Moment } from './liveness.ts'
import type { Queryable } from './postgres.ts'

/** Which application tokens of a living family carry current claims. */
export type Freshness = Pick<FamilyRow, 'staleSince' | 'oldestValidVersion'>

/** A token introspection: an app may ask about a token of its own, an app or an API about one with its audience. */
export interface Introspection {
  familyId: string
  /** The client that asks, and the hash of the client secret it sent. */
  clientId: string
  proof: AppProof
  /** The audience of the token. */
  audience: string
}

/**
 * Null when the family does not live, or when the app that asks is disabled, is not authenticated or may not ask. A public app,
 * which anyone can pretend to be, may ask only about its own tokens for its own audience.
 */
export async function findIntrospected(
  db: Queryable,
  { familyId, clientId, proof, audience }: Introspection,
  { now, seenSince }: Moment,
): Promise<Freshness | null> {
  const result = await db.query<Freshness>({
    name: 'application-token-introspect',
    text: `SELECT ${FRESHNESS} FROM ${LIVING}, apps c
           WHERE f.id = $1 AND ${LIVES} AND c.client_id = $4 AND c.disabled_at IS NULL AND ${provesApp('c', '$5', '$2')}
             AND CASE WHEN c.is_public THEN c.client_id = f.client_id AND c.audience = $6
               ELSE c.client_id = f.client_id OR c.audience = $6 END`,
    values: [familyId, now, seenSince, clientId, proof.secretHash, audience],
  })
  return result.rows[0] ?? null
}

/** The same for an API that asks. */
export async function findIntrospectedByApi(
  db: Queryable,
  { familyId, clientId, proof, audience }: Introspection,
  { now, seenSince }: Moment,
): Promise<Freshness | null> {
  const result = await db.query<Freshness>({
    name: 'application-token-introspect-api',
    text: `SELECT ${FRESHNESS} FROM ${LIVING}, apis c
           WHERE f.id = $1 AND ${LIVES} AND c.client_id = $4 AND c.identifier = $6 AND ${provesSecret('c', '$5::text', '$2')}`,
    values: [familyId, now, seenSince, clientId, proof.secretHash, audience],
  })
  return result.rows[0] ?? null
}

/** The user of a family, with the columns that UserInfo needs. */
export interface Person extends Freshness, ClaimSource, Pick<AppClaimColumns, 'appRoles' | 'sectorUri'> {
  id: string
  roles: string[]
  attributeClaims: Record<string, string>
  /** Of the family. */
  scope: string
}

/** Null when the family does not live, or when its app asked for claims by name. */
export async function findPersonOf(
  db: Queryable,
  familyId: string,
  { now, seenSince }: Moment,
): Promise<Person | null> {
  const result = await db.query<Person>({
    name: 'application-token-person',
    text: `SELECT ${FRESHNESS}, f.scope, i.id, i.roles, ${CLAIM_COLUMNS}, ${APP_ROLES}, ${SECTOR_URI}, a.attribute_claims AS "attributeClaims"
           FROM ${LIVING} WHERE f.id = $1 AND ${LIVES} AND f.claims IS NULL`,
    values: [familyId, now, seenSince],
  })
  return result.rows[0] ?? null
}

const FRESHNESS = 'f.stale_since AS "staleSince", f.claims_version AS "oldestValidVersion"'
const LIVING = 'families f JOIN identities i ON i.id = f.identity_id JOIN apps a ON a.client_id = f.client_id'

const LIVES = familyLives('$2', followsLiving('$2', '$3'))
