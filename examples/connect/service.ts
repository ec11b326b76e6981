// A service that calls an API in its own name. CLIENT_ID and CLIENT_SECRET are what `app create --service` has printed.
import * as oidc from 'openid-client'

const { ISSUER = 'http://localhost:3000', CLIENT_ID = 'reports', CLIENT_SECRET = '' } = process.env
const { RESOURCE = 'https://contacts.example.com', API = '' } = process.env
const options = { execute: ISSUER.startsWith('http:') ? [oidc.allowInsecureRequests] : [] } // http: a portal on this machine
const portal = await oidc.discovery(new URL(ISSUER), CLIENT_ID, CLIENT_SECRET, undefined, options)

let kept: { token: string; until: number } | null = null

/** The application token of this service. It is asked for again half a minute before it expires; there is nothing to refresh. */
async function applicationToken(): Promise<string> {
  if (kept !== null && kept.until > Date.now()) return kept.token
  const answer = await oidc.clientCredentialsGrant(portal, { resource: RESOURCE, scope: 'contacts:read' })
  kept = { token: answer.access_token, until: Date.now() + ((answer.expires_in ?? 60) - 30) * 1000 }
  return kept.token
}

const token = await applicationToken()
console.log(`a token for ${RESOURCE}: ${token.split('.')[1]}`)
if (API !== '') console.log(await (await fetch(API, { headers: { authorization: `Bearer ${token}` } })).text())
