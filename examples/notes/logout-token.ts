import { jwtVerify } from 'jose'
import { JOSEError, JWKSTimeout } from 'jose/errors'
import { portal, portalKeys } from './portal.ts'
import { settings } from './settings.ts'

/** What the portal says is over: one family if it names one, else a browser's session, else everything of a person. */
export interface Logout {
  /** The same however often the portal says it. */
  id: string
  sub: string | undefined
  sid: string | undefined
  fam: string | undefined
}

/** What was sent is no logout token for Notes. The message says why; it may be sent back. */
export class LogoutTokenRefused extends Error {}

const LOGOUT_EVENT = 'http://schemas.openid.net/event/backchannel-logout'

/** Checks a logout token as OpenID Connect Back-Channel Logout 1.0 §2.6 says. @throws LogoutTokenRefused */
export async function readLogoutToken(token: string): Promise<Logout> {
  const { jti, sub, sid, fam, nonce, events } = await verifiedClaims(token)

  if (!isRecord(events) || !isRecord(events[LOGOUT_EVENT])) throw new LogoutTokenRefused('it is not about a logout')
  // An ID token has a nonce: one that was stolen must not pass for a logout token.
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
      // What Notes' ID tokens are signed with.
      algorithms: ['RS256'],
      requiredClaims: ['iat', 'exp', 'jti', 'events'],
      maxTokenAge: '5 min',
      clockTolerance: '10 s',
    })
    return payload
  } catch (problem) {
    // Without the keys nothing is known about the token.
    if (!(problem instanceof JOSEError) || problem instanceof JWKSTimeout) throw problem
    throw new LogoutTokenRefused(problem.message)
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
