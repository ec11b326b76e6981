import { createRemoteJWKSet } from 'jose'
import * as oidc from 'openid-client'
import { settings } from './settings.ts'

export class PortalUnreachable extends Error {
  constructor(cause: unknown) {
    super(`no discovery document from ${settings.issuer.href}`, { cause })
  }
}

let discovered: Promise<oidc.Configuration> | undefined
let publishedKeys: ReturnType<typeof createRemoteJWKSet> | undefined

/** The portal's metadata (discovery): requested when it is first needed, and again after a failure. Notes may start first. */
export function portal(): Promise<oidc.Configuration> {
  discovered ??= discover().catch((problem) => {
    discovered = undefined
    throw new PortalUnreachable(problem)
  })
  return discovered
}

/** The portal's published keys (JWKS), cached; requested again when a token names an unknown one. */
export async function portalKeys() {
  const { jwks_uri } = (await portal()).serverMetadata()
  if (!jwks_uri) throw new Error('the portal publishes no keys')
  publishedKeys ??= createRemoteJWKSet(new URL(jwks_uri))
  return publishedKeys
}

function discover() {
  const { issuer, appId, appSecret } = settings
  return oidc.discovery(issuer, appId, undefined, oidc.ClientSecretBasic(appSecret), {
    timeout: 10,
    // The demo's portal uses plain http on this machine. Everywhere else the library insists on https.
    execute: issuer.protocol === 'http:' ? [oidc.allowInsecureRequests] : [],
  })
}

/** A failed request to the portal, in one sentence. */
export function explain(problem: unknown): string {
  if (problem instanceof oidc.ResponseBodyError || problem instanceof oidc.AuthorizationResponseError) {
    return `Gatehouse answered ${problem.error}${problem.error_description ? `: ${problem.error_description}` : ''}.`
  }
  if (problem instanceof oidc.WWWAuthenticateChallengeError) {
    return 'Gatehouse did not accept the secret of Notes.'
  }
  return 'Gatehouse could not be reached, or its answer made no sense.'
}
