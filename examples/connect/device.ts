// A program in a terminal, or on a television: the user signs in elsewhere. CLIENT_ID is what `app create --device` has printed.
import * as oidc from 'openid-client'

const { ISSUER = 'http://localhost:3000', CLIENT_ID = 'my-device' } = process.env
const options = { execute: ISSUER.startsWith('http:') ? [oidc.allowInsecureRequests] : [] } // http: a portal on this machine
const portal = await oidc.discovery(new URL(ISSUER), CLIENT_ID, undefined, oidc.None(), options)

const device = await oidc.initiateDeviceAuthorization(portal, { scope: 'openid profile' })
console.log(`Open ${device.verification_uri} on your phone or computer, and enter ${device.user_code}`)
console.log(`or scan a picture of ${device.verification_uri_complete}`)

// Asks again every few seconds, as slowly as the portal says, until the user has answered.
const answer = await oidc.pollDeviceAuthorizationGrant(portal, device)
console.log(`Signed in as ${answer.claims()?.sub}`)
// Keep answer.refresh_token, and replace it by the new one at every refresh.
