import type { Account, AccountClaims, KoaContextWithOIDC } from 'oidc-provider'
import { findIdentity, type IdentityRow } from '../domain/identities.ts'
import type { Portal } from '../domain/portal.ts'
import { epochSeconds } from '../domain/time.ts'

export type PortalAccount = Account & { identity: IdentityRow }

/** An identity as the library's account. Undefined for nobody, and for an identity that is disabled or deleted. */
export function findAccountWith(portal: Portal) {
  return async (_ctx: KoaContextWithOIDC, id: string): Promise<PortalAccount | undefined> => {
    const identity = await findIdentity(portal.storage, id)
    if (identity === null || identity.disabledAt !== null || identity.erasedFrom !== null) return undefined
    return { accountId: identity.id, identity, claims: () => claimsOf(identity) }
  }
}

/** OpenID Connect Core §5.1; the library gives out what the scopes and the claims parameter asked for. */
function claimsOf(identity: IdentityRow): AccountClaims {
  return {
    sub: identity.id,
    name: identity.username,
    preferred_username: identity.username,
    updated_at: epochSeconds(identity.updatedAt),
    email: identity.email,
    email_verified: identity.emailVerified,
  }
}
