// An API that checks application tokens offline. AUDIENCE is what `app show` calls audience.
import express from 'express'
import { createRemoteJWKSet, errors, jwtVerify } from 'jose'

const { ISSUER = 'http://localhost:3000', AUDIENCE = `${ISSUER}/apps/my-app`, PORT = '4006' } = process.env
const keys = createRemoteJWKSet(new URL(`${ISSUER}/oauth/jwks`))
// Check typ and aud, both: ID tokens may be signed with the same keys.
const checks = { issuer: ISSUER, audience: AUDIENCE, typ: 'at+jwt', algorithms: ['ES256'], requiredClaims: ['exp'] }

const api = express()
api.get('/me', async (req, res) => {
  const [, token = ''] = /^Bearer (\S+)$/i.exec(req.headers.authorization ?? '') ?? []
  try {
    const { payload } = await jwtVerify(token, keys, checks)
    res.json({ sub: payload.sub, scope: payload['scope'], roles: payload['roles'] })
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error // the portal's keys could not be read
    res.status(401).set('WWW-Authenticate', 'Bearer error="invalid_token"').json({ error: 'invalid_token' })
  }
})
api.listen(Number(PORT), '127.0.0.1', () => console.log(`the API is on http://127.0.0.1:${PORT}/me`))
