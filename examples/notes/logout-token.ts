import { jwtVerify } from 'jose'
import { JOSEError, JWKSTimeout } from 'jose/errors'
import { portal, portalKeys } from './portal.ts'
import { settings } from './settings.ts'

/** What has ended: one family if the token names one, else a browser's session, else every session of a user. */
export interface Logout {
  /** The same in every repetition. */
  id: string
  sub: string | undefined
  sid: string | undefined
  fam: string | undefined
}

/** The request holds no valid logout token for Notes. The message says why; it may be sent back. */
export class LogoutTokenRefused extends Error {}

const LOGOUT_EVENT = 'http://schemas.openid.net/event/backchannel-logout'

/** Verifies a logout token (OpenID Connect Back-Channel Logout 1.0 §2.6). @throws LogoutTokenRefused */
export async function readLogoutToken(token: string): Promise<Logout> {
  const { jti, sub, sid, fam, nonce, events } = await verifiedClaims(token)

  if (!isRecord(events) || !isRecord(events[LOGOUT_EVENT])) throw new LogoutTokenRefused('it is not about a logout')
  // An ID token has a nonce: a stolen one must not pass for a logout token.
  if (nonce !== undefined) throw new LogoutTokenRefused('it has a nonce')
  if (typeof jti !== 'string') throw new LogoutTokenRefused('its jti is not text')
  if (![sub, sid, fam].every((claim) => claim === undefined || typeof claim === 'string')) {
    throw new LogoutTokenRefused('sub, sid and fam must be text')
  }
  if (sub === undefined && sid === undefined) throw new LogoutTokenRefused('it names neither a person nor a session')
  return { id: jti, sub, sid: sid as string | undefined, fam: fam as string | undefined }
}

async function verifiedClaims(token: string) {
  const issuer = (await portal()).serverMetadata().issuer
  try {
    const { payload } = await jwtVerify(token, await portalKeys(), {
      issuer,
      audience: settings.appId,
      typ: 'logout+jwt',
      // The algorithm of Notes' ID tokens.
      algorithms: ['RS256'],
      requiredClaims: ['iat', 'exp', 'jti', 'events'],
      maxTokenAge: '5 min',
      clockTolerance: '10 s',
    })
    return payload
  } catch (problem) {
    // Without the keys the token cannot be verified.
    if (!(problem instanceof JOSEError) || problem instanceof JWKSTimeout) throw problem
    throw new LogoutTokenRefused(problem.message)
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
