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

/** What the portal publishes about itself: asked for at the first need, and again after a failure. Notes may start first. */
export function portal(): Promise<oidc.Configuration> {
  discovered ??= discover().catch((problem) => {
    discovered = undefined
    throw new PortalUnreachable(problem)
  })
  return discovered
}

/** The keys of everything the portal signs. Fetched once and kept; fetched again when a token names one that is not among them. */
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
    // The demo's portal speaks plain http on this very machine. Everywhere else the library insists on https.
    execute: issuer.protocol === 'http:' ? [oidc.allowInsecureRequests] : [],
  })
}

/** One sentence on a failed request to the portal. */
export function explain(problem: unknown): string {
  if (problem instanceof oidc.ResponseBodyError || problem instanceof oidc.AuthorizationResponseError) {
    return `Gatehouse answered ${problem.error}${problem.error_description ? `: ${problem.error_description}` : ''}.`
  }
  if (problem instanceof oidc.WWWAuthenticateChallengeError) {
    return 'Gatehouse did not accept the secret of Notes.'
  }
  return 'Gatehouse could not be reached, or its answer made no sense.'
}
