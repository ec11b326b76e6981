// An app on a server with a key in place of a secret, pushed requests and tokens bound to a key (FAPI 2.0 security profile).
import { readFileSync } from 'node:fs'
import express from 'express'
import session from 'express-session'
import { importJWK } from 'jose'
import * as oidc from 'openid-client'

declare module 'express-session' {
  type Checks = oidc.AuthorizationCodeGrantChecks
  interface SessionData extends Partial<{ checks: Checks; person: { id: string; idToken: string } }> {}
}
const { ISSUER = 'http://localhost:3000', CLIENT_ID = 'bank', PORT = '4009' } = process.env
const home = `http://127.0.0.1:${PORT}/`
const options = { execute: ISSUER.startsWith('http:') ? [oidc.allowInsecureRequests] : [] } // http: a portal on this machine
const jwk = JSON.parse(readFileSync('private-key.json', 'utf8')) // the private key; the portal knows its public half
const key = { key: (await importJWK(jwk, 'ES256')) as oidc.CryptoKey, kid: jwk.kid }
const portal = await oidc.discovery(new URL(ISSUER), CLIENT_ID, undefined, oidc.PrivateKeyJwt(key), options)
const DPoP = oidc.getDPoPHandle(portal, await oidc.randomDPoPKeyPair('ES256')) // keep the pair as long as its refresh tokens

const app = express()
app.use(session({ secret: jwk.d, resave: false, saveUninitialized: false, cookie: { sameSite: 'lax' } }))
app.get('/', ({ session: { person: p } }, res) => res.send(p?.id ?? '<a href="/sign-in">Sign in</a>'))
app.get('/sign-in', async (req, res) => {
  const checks = { pkceCodeVerifier: oidc.randomPKCECodeVerifier(), expectedState: oidc.randomState() }
  req.session.checks = checks // kept on the server until the browser comes back
  const code_challenge = await oidc.calculatePKCECodeChallenge(checks.pkceCodeVerifier)
  const request = { redirect_uri: `${home}callback`, scope: 'openid', state: checks.expectedState }
  const pushed = { ...request, code_challenge, code_challenge_method: 'S256' }
  res.redirect((await oidc.buildAuthorizationUrlWithPAR(portal, pushed, { DPoP })).href)
})
app.get('/callback', async (req, res) => {
  const checks = { ...(req.session.checks ?? { expectedState: 'none' }), idTokenExpected: true }
  const url = new URL(req.originalUrl, home)
  const answer = await oidc.authorizationCodeGrant(portal, url, checks, undefined, { DPoP }).catch(String)
  if (typeof answer === 'string') return void res.status(400).type('text').send(`${answer}. Try again: ${home}sign-in`)
  const person = { id: answer.claims()?.sub ?? '', idToken: answer.id_token ?? '' }
  req.session.regenerate(() => res.redirect(((req.session.person = person), '/')))
})
app.listen(Number(PORT), '127.0.0.1', () => console.log(`the app is on ${home}`))
