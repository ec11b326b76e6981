import { decodeJwt } from 'jose'
import * as oidc from 'openid-client'
import { explain, portal } from './portal.ts'
import type { Session } from './sessions.ts'

/** Notes' side of one family: the tokens of this user in this browser. */
export interface Connection {
  who: string
  /** The values that a logout token may name: the user, the portal's session, and the family. */
  sub: string
  sid: string | null
  fam: string | null
  applicationToken: string
  expiresAt: number
  /** Seconds from issue to expiry. */
  lifetime: number
  refreshToken: string
  idToken: string
  refreshes: number
  refreshedAt: Date | null
}

/** The portal's machine-readable reason why a family has ended. */
export type EndReason =
  'unknown' | 'expired' | 'reused' | 'revoked' | 'identity_disabled' | 'app_disabled' | 'access_withdrawn'

export interface End {
  /** Null when a logout token reported the end: it has no reason. */
  reason: EndReason | null
  /** The id of the family that ended, when the portal named it. */
  family: string | null
}

export type RefreshOutcome = { kind: 'fresh' } | ({ kind: 'ended' } & End) | { kind: 'unanswered'; sentence: string }

export type TokenAnswer = oidc.TokenEndpointResponse & oidc.TokenEndpointResponseHelpers

const END_REASONS = new Set([
  'unknown',
  'expired',
  'reused',
  'revoked',
  'identity_disabled',
  'app_disabled',
  'access_withdrawn',
])

export function openConnection(who: string, answer: TokenAnswer, now = Date.now()): Connection {
  if (!answer.refresh_token || !answer.id_token) throw new Error('the portal gave no refresh token or no ID token')

  return {
    who,
    ...namesOf(answer),
    ...applicationTokenOf(answer, now),
    refreshToken: answer.refresh_token,
    idToken: answer.id_token,
    refreshes: 0,
    refreshedAt: null,
  }
}

/** Refreshes when the application token is about to expire. Call it before every use of the token. */
export async function keepFresh(session: Session, now = Date.now()) {
  if (session.connection && isStale(session.connection, now)) await refresh(session)
}

/** Exchanges the refresh token for the next one and a new application token (refresh token rotation). */
export function refresh(session: Session): Promise<RefreshOutcome> {
  // Parallel requests share one refresh: a refresh token can be used once.
  session.refreshing ??= rotate(session).finally(() => {
    session.refreshing = null
  })
  return session.refreshing
}

/** Revokes the family at the portal. Signing out works without an answer, so a failure is only logged. */
export async function revoke(connection: Connection) {
  try {
    await oidc.tokenRevocation(await portal(), connection.refreshToken, { token_type_hint: 'refresh_token' })
  } catch (problem) {
    console.warn(`Notes could not revoke a refresh token. ${explain(problem)}`)
  }
}

function isStale(connection: Connection, now: number) {
  // 30 s before expiry; a very short-lived token is refreshed after half its life, or every request would refresh.
  const margin = Math.min(30, connection.lifetime / 2)
  return connection.expiresAt - now < margin * 1000
}

async function rotate(session: Session): Promise<RefreshOutcome> {
  const connection = session.connection
  if (!connection) return { kind: 'unanswered', sentence: 'You are not signed in.' }

  try {
    const answer = await oidc.refreshTokenGrant(await portal(), connection.refreshToken)
    Object.assign(connection, applicationTokenOf(answer, Date.now()), {
      refreshToken: answer.refresh_token ?? connection.refreshToken,
      idToken: answer.id_token ?? connection.idToken,
      refreshes: connection.refreshes + 1,
      refreshedAt: new Date(),
    })
    return { kind: 'fresh' }
  } catch (problem) {
    if (problem instanceof oidc.ResponseBodyError && problem.error === 'invalid_grant') {
      const end = endOf(problem)
      // A sign-in in another tab may have replaced the connection meanwhile; then this end is old news.
      if (session.connection === connection) {
        session.connection = null
        session.ended = end
      }
      return { kind: 'ended', ...end }
    }
    // Any other error says nothing about the family, so the tokens stay. If only the answer was lost, the portal repeats it to
    // the same refresh token for a short while.
    console.warn(`Notes could not refresh. ${explain(problem)}`)
    return { kind: 'unanswered', sentence: explain(problem) }
  }
}

function applicationTokenOf(answer: TokenAnswer, now: number) {
  const lifetime = answer.expires_in ?? 60
  return { applicationToken: answer.access_token, lifetime, expiresAt: now + lifetime * 1000 }
}

function namesOf(answer: TokenAnswer) {
  const identity = answer.claims()
  // Notes' API is the audience of the application token, so Notes may read it.
  const { fam } = decodeJwt(answer.access_token)
  return { sub: identity?.sub ?? '', sid: textOrNull(identity?.sid), fam: textOrNull(fam) }
}

function endOf({ cause: { reason, fam } }: oidc.ResponseBodyError): End {
  return {
    reason: typeof reason === 'string' && END_REASONS.has(reason) ? (reason as EndReason) : 'unknown',
    family: textOrNull(fam),
  }
}

function textOrNull(claim: unknown): string | null {
  return typeof claim === 'string' ? claim : null
}
