import {
  appRolesOf as rolesOfApp,
  type ClaimSource,
  type JsonClaimSource,
  type WantedClaims,
} from '../../storage/claim-sources.ts'
import { epochSeconds } from '../time.ts'

export { rolesOfApp }
export type { ClaimSource, WantedClaims }

/** The address claim (OpenID Connect Core §5.1.1), without `formatted`, which is made of the rest. */
export interface Address {
  street_address?: string
  locality?: string
  region?: string
  postal_code?: string
  country?: string
}

/**
 * The claims that the portal makes of an identity, by name. `username` is `preferred_username` under the name that RFC 7662 §2.2
 * gives it.
 */
export const IDENTITY_CLAIMS = [
  'email',
  'email_verified',
  'username',
  'preferred_username',
  'name',
  'given_name',
  'family_name',
  'nickname',
  'picture',
  'locale',
  'zoneinfo',
  'phone_number',
  'address',
  'updated_at',
  'roles',
  'groups',
] as const

/** The standard claims of an identity (OpenID Connect Core §5.1). What the user has not given is left out. */
export function standardClaims(source: ClaimSource): Record<string, unknown> {
  const { address, phoneNumber } = source
  const claims = {
    name: source.name ?? source.username,
    preferred_username: source.username,
    given_name: source.givenName,
    family_name: source.familyName,
    nickname: source.nickname,
    picture: source.picture,
    locale: source.locale,
    zoneinfo: source.zoneinfo,
    updated_at: epochSeconds(source.updatedAt),
    email: source.email,
    email_verified: source.emailVerified,
    phone_number: phoneNumber,
    // The portal calls and texts no one, so it never knows.
    phone_number_verified: phoneNumber === null ? null : false,
    address: address === null ? null : formattedAddress(address as Address),
  }
  return Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== null))
}

/** The claims that an app makes of the attributes of an identity. */
export function attributeClaims(
  { attributes }: Pick<ClaimSource, 'attributes'>,
  mapping: WantedClaims['attributeClaims'],
): Record<string, unknown> {
  const known = attributes as Record<string, string>
  return Object.fromEntries(
    Object.entries(mapping)
      .filter(([, attribute]) => Object.hasOwn(known, attribute))
      .map(([claim, attribute]) => [claim, known[attribute]]),
  )
}

/** The claims with these names that an app has configured for a token of its own. */
export function configuredClaims(
  names: readonly string[],
  source: ClaimSource,
  mapping: WantedClaims['attributeClaims'],
  roles: string[],
): Record<string, unknown> {
  if (names.length === 0) return {}
  const { username, groups } = source
  const claims = { ...attributeClaims(source, mapping), ...standardClaims(source), username, roles, groups }
  return Object.fromEntries(Object.entries(claims).filter(([name]) => names.includes(name)))
}

export function sourceOf(source: JsonClaimSource): ClaimSource {
  return { ...source, updatedAt: new Date(source.updatedAt) }
}

/** The roles of an identity in an app: the global ones, and those it has there alone. */
export function rolesIn(roles: string[], appRoles: string[] | null | undefined): string[] {
  return appRoles ? [...new Set([...roles, ...appRoles])] : roles
}

/** A line for each part, as on an envelope (OpenID Connect Core §5.1.1). */
function formattedAddress(address: Address): Address & { formatted: string } {
  const { street_address: street, locality, region, postal_code: code, country } = address
  const place = [[code, locality].filter(Boolean).join(' '), region].filter(Boolean).join(', ')
  return { formatted: [street, place, country].filter(Boolean).join('\n'), ...address }
}
