import type { AppRow } from './apps.ts'
import type { IdentityRow } from './identities.ts'

/** The columns of an identity that its claims are made of (OpenID Connect Core §5.1), its groups, and the attributes that operators set. */
export type ClaimSource = Pick<
  IdentityRow,
  | 'username'
  | 'email'
  | 'emailVerified'
  | 'updatedAt'
  | 'locale'
  | 'zoneinfo'
  | 'name'
  | 'givenName'
  | 'familyName'
  | 'nickname'
  | 'picture'
  | 'phoneNumber'
  | 'address'
  | 'attributes'
  | 'groups'
>

const COLUMNS: Record<keyof ClaimSource, string> = {
  username: 'username',
  email: 'email',
  emailVerified: 'email_verified',
  updatedAt: 'updated_at',
  locale: 'locale',
  zoneinfo: 'zoneinfo',
  name: 'name',
  givenName: 'given_name',
  familyName: 'family_name',
  nickname: 'nickname',
  picture: 'picture',
  phoneNumber: 'phone_number',
  address: 'address',
  attributes: 'attributes',
  groups: 'groups',
}

/** The columns of a `ClaimSource`, of an identity `i`. */
export const CLAIM_COLUMNS = Object.entries(COLUMNS)
  .map(([field, column]) => `i.${column} AS "${field}"`)
  .join(', ')

/** A `ClaimSource` as JSON, where the time is text. */
export type JsonClaimSource = Omit<ClaimSource, 'updatedAt'> & { updatedAt: string }

/** A `JsonClaimSource`, of an identity `i`. */
export const CLAIM_OBJECT = `jsonb_build_object(${Object.entries(COLUMNS)
  .map(([field, column]) => `'${field}', i.${column}`)
  .join(', ')})`

/** What an app wants in its tokens beside the usual claims, and what they are made of. */
export interface WantedClaims {
  idToken: string[]
  applicationToken: string[]
  /** The attribute of each claim that is made of one. */
  attributeClaims: Record<string, string>
  source: JsonClaimSource
}

/** What the claims of a user in an app need beside the columns of the identity. Each is null in the plain case, and then costs nothing. */
export interface AppClaimColumns {
  /** The roles that the user has in this app alone. */
  appRoles: string[] | null
  wantedClaims: WantedClaims | null
  /** The names of the groups of the user. */
  groups: string[] | null
  /** A redirect URI of an app with pairwise subjects. */
  sectorUri: string | null
}

export const APP_ROLES = 'i.app_roles -> a.client_id AS "appRoles"'
export const SECTOR_URI = 'CASE WHEN a.is_pairwise THEN a.redirect_uris[1] END AS "sectorUri"'

/** The columns of `AppClaimColumns`, of an identity `i` and an app `a`. */
export const APP_CLAIM_COLUMNS = `${APP_ROLES}, ${SECTOR_URI}, CASE WHEN i.groups <> '{}' THEN i.groups END AS groups,
  CASE WHEN cardinality(a.id_token_claims) + cardinality(a.application_token_claims) > 0 THEN jsonb_build_object(
    'idToken', a.id_token_claims, 'applicationToken', a.application_token_claims, 'attributeClaims', a.attribute_claims,
    'source', ${CLAIM_OBJECT}) END AS "wantedClaims"`

/** `AppClaimColumns` of rows that have been read already, without what belongs to neither claims nor roles. */
export function appClaimColumnsOf(
  app: Pick<
    AppRow,
    'clientId' | 'isPairwise' | 'redirectUris' | 'idTokenClaims' | 'applicationTokenClaims' | 'attributeClaims'
  >,
  identity: ClaimSource & Pick<IdentityRow, 'appRoles'>,
): AppClaimColumns {
  const { clientId, idTokenClaims: idToken, applicationTokenClaims: applicationToken } = app
  const attributeClaims = app.attributeClaims as WantedClaims['attributeClaims']
  const wants = idToken.length + applicationToken.length > 0
  return {
    appRoles: appRolesOf(identity, clientId),
    groups: identity.groups.length > 0 ? identity.groups : null,
    sectorUri: app.isPairwise ? (app.redirectUris[0] ?? null) : null,
    wantedClaims: wants ? { idToken, applicationToken, attributeClaims, source: jsonSourceOf(identity) } : null,
  }
}

export function appRolesOf({ appRoles }: Pick<IdentityRow, 'appRoles'>, clientId: string): string[] | null {
  const all = appRoles as Record<string, string[]>
  return Object.hasOwn(all, clientId) ? (all[clientId] ?? null) : null
}

export function jsonSourceOf(identity: ClaimSource): JsonClaimSource {
  const fields = Object.keys(COLUMNS).map((field) => [field, identity[field as keyof ClaimSource]])
  return { ...(Object.fromEntries(fields) as ClaimSource), updatedAt: identity.updatedAt.toISOString() }
}
