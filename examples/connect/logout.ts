// An app that hears from the portal when a family has ended. CLIENT_ID is that of an app with --backchannel-logout-uri.
import express from 'express'
import { createRemoteJWKSet, errors, type JWTPayload, jwtVerify } from 'jose'

const { ISSUER = 'http://localhost:3000', CLIENT_ID = 'my-app', PORT = '4008' } = process.env
const keys = createRemoteJWKSet(new URL(`${ISSUER}/oauth/jwks`))
// Check typ: ID tokens are signed with the same keys, and have the same audience.
const checks = { issuer: ISSUER, audience: CLIENT_ID, typ: 'logout+jwt', requiredClaims: ['iat', 'exp', 'jti'] }
const EVENT = 'http://schemas.openid.net/event/backchannel-logout'

const app = express()
app.post('/backchannel-logout', express.urlencoded(), async (req, res) => {
  res.set('Cache-Control', 'no-store')
  try {
    const { payload } = await jwtVerify(String(req.body?.logout_token), keys, checks)
    const events = payload['events'] as Record<string, unknown> | undefined
    if (!events?.[EVENT] || payload['nonce'] !== undefined) return void res.sendStatus(400)
    endSessions(payload)
    res.sendStatus(200)
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error // the portal's keys could not be read: it will send again
    res.sendStatus(400)
  }
})
app.listen(Number(PORT), '127.0.0.1', () => console.log(`ready on http://127.0.0.1:${PORT}/backchannel-logout`))

/** `fam` is in the application tokens of the sign-in that has ended, `sid` in its ID token; `sub` is the user. */
function endSessions({ fam, sid, sub }: JWTPayload) {
  console.log(`end the sessions of family ${String(fam)}, ID token session ${String(sid)}, user ${sub}`)
}
