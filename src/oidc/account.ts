import type { Account, AccountClaims, KoaContextWithOIDC } from 'oidc-provider'
import { type AppRow, LATER_SCOPES } from '../domain/apps/apps.ts'
import {
  attributeClaims,
  type ClaimSource,
  configuredClaims,
  rolesIn,
  standardClaims,
} from '../domain/identities/claims.ts'
import { appClaimColumnsOf, findIdentity, type IdentityRow } from '../domain/identities/identities.ts'
import type { Services } from '../domain/services.ts'
import { ADDED_CLAIMS } from './library-internals.ts'

export type PortalAccount = Account & { identity: IdentityRow }

/** An identity as the library's account. Undefined for an unknown, disabled or deleted identity. */
export function findAccountWith(services: Services) {
  return async (ctx: KoaContextWithOIDC, id: string): Promise<PortalAccount | undefined> => {
    const identity = await findIdentity(services, id)
    if (identity === null || identity.disabledAt !== null || identity.erasedFrom !== null) return undefined
    const claims = (use: string) => {
      const app = ctx.oidc.client?.app
      if (app === undefined) throw new Error('the claims of a user are for an app')
      return claimsFor(identity, app, use)
    }
    return { accountId: identity.id, identity, claims }
  }
}

/**
 * The claims of an identity for an app. The library selects those that the scopes and the claims parameter asked for, and makes
 * the `sub` pairwise; those that the app has configured are there in any case.
 */
function claimsFor(identity: IdentityRow, app: AppRow, use: string): AccountClaims {
  const { appRoles, wantedClaims } = appClaimColumnsOf(app, identity)
  const roles = rolesIn(identity.roles, appRoles)
  const mapping = app.attributeClaims as Record<string, string>
  const added =
    use === 'id_token'
      ? configuredClaims(wantedClaims?.idToken ?? [], identity, mapping, roles)
      : attributeClaims(identity, mapping)
  // What an app could ask for by name only since there are profiles and groups, it gets only when it is registered for the scope.
  const scopes = app.scope.split(' ')
  const withheld = LATER_SCOPES.filter((scope) => !scopes.includes(scope)).flatMap((scope) => claimsOfScope(scope))
  const { groups } = identity
  const standard = Object.entries({ ...standardClaims(identity), groups }).filter(([name]) => !withheld.includes(name))
  return { sub: identity.id, ...Object.fromEntries(standard), roles, [ADDED_CLAIMS]: added }
}

/** The claims that each scope stands for (OpenID Connect Core §5.4). */
export const SCOPE_CLAIMS = {
  openid: ['sub', 'acr', 'amr', 'auth_time'],
  profile: [
    'name',
    'given_name',
    'family_name',
    'nickname',
    'preferred_username',
    'picture',
    'zoneinfo',
    'locale',
    'updated_at',
  ],
  email: ['email', 'email_verified'],
  address: ['address'],
  phone: ['phone_number', 'phone_number_verified'],
  roles: ['roles'],
  groups: ['groups'],
}

/** The life of an ID token (seconds). */
export const ID_TOKEN_LIFE = 600

/** Whom claims are about, as one app knows them. */
export interface Subject {
  sub: string
  source: ClaimSource
  /** Those in the app, too. */
  roles: string[]
}

/** The claims of the user, and in an ID token of the sign-in, for these scopes, as the library would select them. */
export function userinfoOf(
  { sub, source, roles }: Subject,
  scopes: string[],
  signIn: object = {},
): Record<string, unknown> {
  const claims: Record<string, unknown> = { sub, ...standardClaims(source), roles, groups: source.groups, ...signIn }
  const names = scopes.flatMap(claimsOfScope)
  return Object.fromEntries(names.filter((name) => name in claims).map((name) => [name, claims[name]]))
}

function claimsOfScope(scope: string): string[] {
  return Object.hasOwn(SCOPE_CLAIMS, scope) ? SCOPE_CLAIMS[scope as keyof typeof SCOPE_CLAIMS] : []
}
