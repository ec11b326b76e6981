import type { Account, AccountClaims, KoaContextWithOIDC } from 'oidc-provider'
import { findIdentity, type IdentityRow } from '../domain/identities/identities.ts'
import type { Services } from '../domain/services.ts'
import { epochSeconds } from '../domain/time.ts'

export type PortalAccount = Account & { identity: IdentityRow }

/** An identity as the library's account. Undefined for an unknown, disabled or deleted identity. */
export function findAccountWith(services: Services) {
  return async (_ctx: KoaContextWithOIDC, id: string): Promise<PortalAccount | undefined> => {
    const identity = await findIdentity(services, id)
    if (identity === null || identity.disabledAt !== null || identity.erasedFrom !== null) return undefined
    return { accountId: identity.id, identity, claims: () => claimsOf(identity) }
  }
}

/** The claims that each scope stands for (OpenID Connect Core §5.4). */
export const SCOPE_CLAIMS = {
  openid: ['sub', 'acr', 'amr', 'auth_time'],
  profile: ['name', 'preferred_username', 'updated_at'],
  email: ['email', 'email_verified'],
  roles: ['roles'],
}

/** The life of an ID token (seconds). */
export const ID_TOKEN_LIFE = 600

/** The claims of the identity, and in an ID token of its sign-in, for these scopes, as the library would select them. */
export function userinfoOf(identity: Named, scopes: string[], signIn: object = {}): Record<string, unknown> {
  const claims: Record<string, unknown> = { ...claimsOf(identity), ...signIn }
  const names = scopes.flatMap((scope) => (SCOPE_CLAIMS as Record<string, string[]>)[scope] ?? [])
  return Object.fromEntries(names.filter((name) => name in claims).map((name) => [name, claims[name]]))
}

/** What the claims are made of. */
export type Named = Pick<IdentityRow, 'id' | 'username' | 'email' | 'emailVerified' | 'updatedAt' | 'roles'>

/**
 * The standard claims (OpenID Connect Core §5.1); the library selects those that the scopes and the claims parameter asked for.
 */
function claimsOf(identity: Named): AccountClaims {
  return {
    sub: identity.id,
    name: identity.username,
    preferred_username: identity.username,
    updated_at: epochSeconds(identity.updatedAt),
    email: identity.email,
    email_verified: identity.emailVerified,
    roles: identity.roles,
  }
}
