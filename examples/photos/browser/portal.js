import * as oidc from 'openid-client'

let discovered

/** The portal's metadata (discovery): requested when it is first needed, and again after a failure. */
export function portal() {
  discovered ??= discover().catch((problem) => {
    discovered = undefined
    throw problem
  })
  return discovered
}

async function discover() {
  const { issuer, client_id } = await (await fetch('/config.json')).json()
  return oidc.discovery(new URL(issuer), client_id, undefined, oidc.None(), {
    timeout: 10,
    // The demo's portal uses plain http on this machine. Everywhere else the library insists on https.
    execute: issuer.startsWith('http:') ? [oidc.allowInsecureRequests] : [],
  })
}

export async function fetchProfile({ applicationToken, subject }) {
  return oidc.fetchUserInfo(await portal(), applicationToken, subject)
}

/** Revokes this family at the portal. */
export async function revoke(refreshToken) {
  await oidc.tokenRevocation(await portal(), refreshToken, { token_type_hint: 'refresh_token' })
}

/** A failed request to the portal, in one sentence. */
export function explain(problem) {
  if (problem instanceof oidc.ResponseBodyError || problem instanceof oidc.AuthorizationResponseError) {
    return `Gatehouse answered ${problem.error}${problem.error_description ? `: ${problem.error_description}` : ''}.`
  }
  if (problem instanceof oidc.WWWAuthenticateChallengeError) return 'Gatehouse did not accept the application token.'
  return 'Gatehouse could not be reached, or its answer made no sense.'
}
