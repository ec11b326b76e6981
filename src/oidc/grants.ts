import { randomUUID } from 'node:crypto'
import type { AdapterPayload, Grant, KoaContextWithOIDC } from 'oidc-provider'

/** What an authorization code holds for the family it may open. */
export interface PendingFamily {
  grant: AdapterPayload
  identitySessionId: string | null
  /** The authorization had `prompt=none`: no page was shown. */
  openedSilently?: true
}

/** The record of a code: the library's own fields, and the family it may open. */
export interface CodeRecord {
  accountId: string
  scope: string
  resource: string
  authTime: number
  acr?: string
  amr?: string[]
  nonce?: string
  sid?: string
  pending: { grant: { openid?: { scope?: string }; resources?: Record<string, string> } }
}

/**
 * A new grant for every authorization; its id is the family's id. It is not saved: the code carries it, and the exchange opens
 * the family. Apps are first-party, so every scope within their registration is granted.
 */
export async function loadExistingGrant(ctx: KoaContextWithOIDC): Promise<Grant> {
  const { provider, client, account, requestParamOIDCScopes, requestParamClaims, resourceServers } = ctx.oidc
  const grant = new provider.Grant({ accountId: account?.accountId as string, clientId: client?.clientId as string })
  // The typed constructor has no parameter for the id; the instance has the property.
  grant.jti = randomUUID()
  grant.addOIDCScope([...requestParamOIDCScopes].join(' '))
  grant.addOIDCClaims([...requestParamClaims])
  for (const [identifier, server] of Object.entries(resourceServers ?? {})) {
    grant.addResourceScope(identifier, server.scope ?? '')
  }
  return grant
}

/** The grant of this authorization, as plain data. */
export function grantOf(ctx: KoaContextWithOIDC | undefined): AdapterPayload {
  const grant = ctx?.oidc.entities.Grant
  if (grant === undefined) throw new Error('an authorization code was made without a grant')
  const { jti, accountId, clientId, openid, resources } = grant as unknown as AdapterPayload
  return { kind: 'Grant', jti, accountId, clientId, openid, resources }
}
