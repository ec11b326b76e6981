import { randomUUID } from 'node:crypto'
import type { AdapterPayload, Grant, KoaContextWithOIDC } from 'oidc-provider'
import type { Granted } from './code-records.ts'
import { addOwnResource } from './resources.ts'

/**
 * A new grant for every authorization; its id is the family's id. It is not saved: the code carries it, and the exchange opens
 * the family. Apps are first-party, so every scope within their registration is granted.
 */
export async function loadExistingGrant(ctx: KoaContextWithOIDC): Promise<Grant> {
  const { provider, client, account, requestParamOIDCScopes, requestParamClaims, resourceServers } = ctx.oidc
  addOwnResource(ctx)
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

/** What this authorization grants, as plain data. */
export function grantedIn(ctx: KoaContextWithOIDC | undefined): Granted {
  const grant = ctx?.oidc.entities.Grant
  if (grant === undefined) throw new Error('an authorization code was made without a grant')
  const { openid, resources } = grant as unknown as AdapterPayload
  return { openid, resources }
}
