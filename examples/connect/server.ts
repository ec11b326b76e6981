// An app on a server that signs people in. CLIENT_ID and CLIENT_SECRET are what `app create` has printed.
import express from 'express'
import session from 'express-session'
import * as oidc from 'openid-client'

declare module 'express-session' {
  type Kept = { checks: oidc.AuthorizationCodeGrantChecks; person: { id: string; idToken: string } }
  interface SessionData extends Partial<Kept> {}
}
const { ISSUER = 'http://localhost:3000', CLIENT_ID = 'my-app', CLIENT_SECRET = '', PORT = '4005' } = process.env
const home = `http://127.0.0.1:${PORT}/`
const options = { execute: ISSUER.startsWith('http:') ? [oidc.allowInsecureRequests] : [] } // http: a portal on this machine
const portal = await oidc.discovery(new URL(ISSUER), CLIENT_ID, CLIENT_SECRET, undefined, options)

const app = express()
app.use(session({ secret: CLIENT_SECRET, resave: false, saveUninitialized: false, cookie: { sameSite: 'lax' } }))
app.get('/', ({ session: { person } }, res) => {
  const form = '<form method="post" action="/sign-out"><button>Sign out</button></form>'
  res.send(person ? `Signed in as ${person.id} ${form}` : '<a href="/sign-in">Sign in</a>')
})
app.get('/sign-in', async (req, res) => {
  const checks = { pkceCodeVerifier: oidc.randomPKCECodeVerifier(), expectedState: oidc.randomState() }
  req.session.checks = checks // kept on the server until the browser comes back
  const code_challenge = await oidc.calculatePKCECodeChallenge(checks.pkceCodeVerifier)
  const request = { redirect_uri: `${home}callback`, scope: 'openid profile', state: checks.expectedState }
  res.redirect(oidc.buildAuthorizationUrl(portal, { ...request, code_challenge, code_challenge_method: 'S256' }).href)
})
app.get('/callback', async (req, res) => {
  const checks = { ...(req.session.checks ?? { expectedState: 'none' }), idTokenExpected: true }
  const answer = await oidc.authorizationCodeGrant(portal, new URL(req.originalUrl, home), checks).catch(String)
  if (typeof answer === 'string') return void res.status(400).type('text').send(`${answer}. Try again: ${home}sign-in`)
  const person = { id: answer.claims()?.sub ?? '', idToken: answer.id_token ?? '' }
  req.session.regenerate(() => res.redirect(((req.session.person = person), '/')))
})
app.post('/sign-out', ({ session: current }, res) => {
  const hint = { id_token_hint: current.person?.idToken ?? '', post_logout_redirect_uri: home }
  current.destroy(() => res.redirect(303, oidc.buildEndSessionUrl(portal, hint).href))
})
app.listen(Number(PORT), '127.0.0.1', () => console.log(`the app is on ${home}`))
