// An API that asks the portal about each token. CLIENT_ID and CLIENT_SECRET are what `api create` has printed.
import express from 'express'
import * as oidc from 'openid-client'

const { ISSUER = 'http://localhost:3000', CLIENT_ID = '', CLIENT_SECRET = '', PORT = '4006' } = process.env
const options = { execute: ISSUER.startsWith('http:') ? [oidc.allowInsecureRequests] : [] } // http: a portal on this machine
const portal = await oidc.discovery(new URL(ISSUER), CLIENT_ID, CLIENT_SECRET, undefined, options)

const api = express()
api.get('/me', async (req, res) => {
  const [, token = ''] = /^Bearer (\S+)$/i.exec(req.headers.authorization ?? '') ?? []
  const { active, reason, sub, scope = '' } = await oidc.tokenIntrospection(portal, token)
  // The app refreshes after expired and claims_changed, and lets the user sign in again after any other reason.
  const refused = { error: 'invalid_token', ...(typeof reason === 'string' ? { error_description: reason } : {}) }
  if (!active) return void res.status(401).set('WWW-Authenticate', 'Bearer error="invalid_token"').json(refused)
  if (!scope.split(' ').includes('contacts:read')) return void res.status(403).json({ error: 'insufficient_scope' })
  res.json({ sub, scope })
})
api.listen(Number(PORT), '127.0.0.1', () => console.log(`the API is on http://127.0.0.1:${PORT}/me`))
