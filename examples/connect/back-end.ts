// A back end that calls another API on behalf of the user whose token it was sent. CLIENT_ID and CLIENT_SECRET are its own.
import express from 'express'
import * as oidc from 'openid-client'

const { ISSUER = 'http://localhost:3000', CLIENT_ID = 'calendar', CLIENT_SECRET = '', PORT = '4008' } = process.env
const { RESOURCE = 'https://contacts.example.com', API = 'http://127.0.0.1:4006/me' } = process.env
const options = { execute: ISSUER.startsWith('http:') ? [oidc.allowInsecureRequests] : [] } // http: a portal on this machine
const portal = await oidc.discovery(new URL(ISSUER), CLIENT_ID, CLIENT_SECRET, undefined, options)

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const app = express()
app.get('/birthdays', async (req, res) => {
  const [, subject_token = ''] = /^Bearer (\S+)$/i.exec(req.headers.authorization ?? '') ?? []
  const subject_token_type = 'urn:ietf:params:oauth:token-type:access_token'
  const request = { subject_token, subject_token_type, resource: RESOURCE, scope: 'contacts:read' }
  try {
    // The portal checks the user's token: that it is for this back end, has not expired, and its family has not ended.
    const { access_token: token } = await oidc.genericGrantRequest(portal, EXCHANGE, request)
    const answer = await fetch(API, { headers: { authorization: `Bearer ${token}` } })
    res.status(answer.status).json(await answer.json())
  } catch (error) {
    if (!(error instanceof oidc.ResponseBodyError)) throw error
    res.status(401).set('WWW-Authenticate', 'Bearer error="invalid_token"').json({ error: 'invalid_token' })
  }
})
app.listen(Number(PORT), '127.0.0.1', () => console.log(`the back end is on http://127.0.0.1:${PORT}/birthdays`))
