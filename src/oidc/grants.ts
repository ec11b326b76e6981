import { randomUUID } from 'node:crypto'
import type { AdapterPayload, Grant, KoaContextWithOIDC } from 'oidc-provider'
import type { FamilyRow } from '../domain/families/families.ts'

/** What an authorization code holds for the family it may become. */
export interface PendingFamily {
  grant: AdapterPayload
  identitySessionId: string | null
  /** The authorization had `prompt=none`: no page was shown. */
  openedSilently?: true
}

/** The record of a code: what the library keeps of it, and the family it may become. */
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

const pendings = new WeakMap<KoaContextWithOIDC, PendingFamily>()

/**
 * A fresh grant for every authorization: its id is the family's id. It is not saved: the code carries it, and the exchange
 * makes it a family. Apps are the company's own, so what they ask for within their registration is granted.
 */
export async function loadExistingGrant(ctx: KoaContextWithOIDC): Promise<Grant> {
  const { provider, client, account, requestParamOIDCScopes, requestParamClaims, resourceServers } = ctx.oidc
  const grant = new provider.Grant({ accountId: account?.accountId as string, clientId: client?.clientId as string })
  // Its typed constructor has no place for the id, its instance has.
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

/** What the code said stays with its request, where the grant and the refresh token of the same exchange ask for it. */
export function rememberPending(ctx: KoaContextWithOIDC | undefined, pending: PendingFamily): void {
  if (ctx !== undefined) pendings.set(ctx, pending)
}

const presented = new WeakMap<KoaContextWithOIDC, FamilyRow>()

/** The living family of the application token that this request shows, which the library asks for again as its grant. */
export function rememberFamily(ctx: KoaContextWithOIDC | undefined, family: FamilyRow): void {
  if (ctx !== undefined) presented.set(ctx, family)
}

export function presentedFamilyOf(ctx: KoaContextWithOIDC | undefined): FamilyRow | null {
  return (ctx && presented.get(ctx)) ?? null
}

export function pendingOf(ctx: KoaContextWithOIDC | undefined): PendingFamily | null {
  return (ctx && pendings.get(ctx)) ?? null
}
