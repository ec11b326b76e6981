import type { Request, Response } from 'express'
import { jwtVerify } from 'jose'
import { JOSEError, JWKSTimeout } from 'jose/errors'
import { portal, portalKeys } from './portal.ts'
import { settings } from './settings.ts'

const NOTES = ['Water the fern', 'Read RFC 9700 again', 'Call Grace about the compiler']

/** The resource server: believes an application token because of its signature and asks nobody. */
export async function showNotes(req: Request, res: Response) {
  const token = /^Bearer (\S+)$/i.exec(req.get('Authorization') ?? '')?.[1]
  if (!token) return res.status(401).set('WWW-Authenticate', 'Bearer').json({ error: 'missing_token' })

  try {
    const { payload } = await jwtVerify(token, await portalKeys(), {
      issuer: (await portal()).serverMetadata().issuer,
      audience: settings.audience,
      // RFC 9068: without this an ID token, signed with the same keys, would pass for an application token.
      typ: 'at+jwt',
      algorithms: ['ES256'],
      requiredClaims: ['sub', 'exp', 'client_id'],
    })
    return res.json({ notes: NOTES, for: payload.sub, through: payload.client_id, fam: payload.fam })
  } catch (problem) {
    if (!(problem instanceof JOSEError) || problem instanceof JWKSTimeout) {
      console.error(problem)
      return res.status(503).json({ error: 'temporarily_unavailable' })
    }
    return res
      .status(401)
      .set('WWW-Authenticate', 'Bearer error="invalid_token"')
      .json({ error: 'invalid_token', error_description: problem.message })
  }
}
