import type { Request, Response } from 'express'
import { jwtVerify } from 'jose'
import { JOSEError, JWKSTimeout } from 'jose/errors'
import { portal, portalKeys } from './portal.ts'
import { Revocations, type VerifiedToken } from './revocations.ts'
import { settings } from './settings.ts'

const NOTES = ['Water the fern', 'Read RFC 9700 again', 'Call Grace about the compiler']

/** What the signature of a token cannot show: revocation. */
export const revocations = new Revocations(async () => {
  const { issuer, revocation_feed_endpoint: url } = (await portal()).serverMetadata()
  if (typeof url !== 'string') throw new Error('the portal has no revocation feed')
  return { url, issuer, keys: await portalKeys() }
})

/**
 * The resource server: verifies application tokens (OAuth access tokens) offline, by their signature and the revocation feed.
 */
export async function showNotes(req: Request, res: Response) {
  const token = /^Bearer (\S+)$/i.exec(req.get('Authorization') ?? '')?.[1]
  if (!token) return res.status(401).set('WWW-Authenticate', 'Bearer').json({ error: 'missing_token' })

  try {
    const { payload, protectedHeader } = await jwtVerify(token, await portalKeys(), {
      issuer: (await portal()).serverMetadata().issuer,
      audience: settings.audience,
      // RFC 9068: without this check, an ID token, signed with the same keys, would pass for an application token.
      typ: 'at+jwt',
      algorithms: ['ES256'],
      requiredClaims: ['sub', 'exp', 'iat', 'client_id', 'fam'],
    })
    switch (revocations.standingOf({ ...(payload as unknown as VerifiedToken), kid: protectedHeader.kid })) {
      case 'good':
        return res.json({ notes: NOTES, for: payload.sub, through: payload.client_id, fam: payload.fam })
      case 'ended':
        return refuse(res, 'the family of this token has ended')
      case 'disabled app':
        return refuse(res, 'the app that this token was issued to was disabled')
      case 'stale':
        return refuse(res, 'what this token claims has changed: refresh')
      case 'revoked key':
        return refuse(res, 'the key that signed this token was revoked: refresh')
      case 'unknown':
        return res.status(503).set('Retry-After', '2').json({ error: 'temporarily_unavailable' })
    }
  } catch (problem) {
    if (!(problem instanceof JOSEError) || problem instanceof JWKSTimeout) {
      console.error(problem)
      return res.status(503).json({ error: 'temporarily_unavailable' })
    }
    return refuse(res, problem.message)
  }
}

/** RFC 6750 §3.1: the client may get another token and try again. */
function refuse(res: Response, words: string) {
  return res
    .status(401)
    .set('WWW-Authenticate', 'Bearer error="invalid_token"')
    .json({ error: 'invalid_token', error_description: words })
}
