import { randomBytes } from 'node:crypto'
import type { Request, Response } from 'express'
import type { Connection, End, RefreshOutcome } from './connection.ts'

/** The state of a sign-in until the browser returns with a code. */
export interface Attempt {
  verifier: string
  nonce: string
  startedAt: number
}

/** One browser at Notes. The browser holds only the id; the tokens stay in this process. */
export interface Session {
  id: string
  usedAt: number
  /** By `state`, so that sign-ins begun in several tabs do not overwrite one another. */
  attempts: Map<string, Attempt>
  connection: Connection | null
  /** The refresh in progress, shared by every request that needs it. */
  refreshing: Promise<RefreshOutcome> | null
  /** How the last connection ended, until the next sign-in. */
  ended: End | null
  /** A flash message for the next page. */
  notice: string | null
  apiResult: string | null
}

const COOKIE = 'notes_session'
const SIGNED_OUT_IDLE = 15 * 60_000
const SIGNED_IN_IDLE = 12 * 3600_000

const sessions = new Map<string, Session>()

export function findSession(req: Request, now = Date.now()): Session | null {
  const session = sessions.get(readCookie(req) ?? '')
  if (!session || isIdle(session, now)) return null

  session.usedAt = now
  return session
}

export function startSession(res: Response, now = Date.now()): Session {
  for (const session of sessions.values()) if (isIdle(session, now)) sessions.delete(session.id)

  const session: Session = {
    id: '',
    usedAt: now,
    attempts: new Map(),
    connection: null,
    refreshing: null,
    ended: null,
    notice: null,
    apiResult: null,
  }
  renewSession(session, res)
  return session
}

/** Moves the session to a new id after the sign-in (session fixation). */
export function renewSession(session: Session, res: Response) {
  sessions.delete(session.id)
  session.id = randomBytes(32).toString('base64url')
  sessions.set(session.id, session)
  // Lax and not Strict: the browser returns from the portal, another site, and must be recognised.
  res.cookie(COOKIE, session.id, { httpOnly: true, sameSite: 'lax' })
}

export function endSession(session: Session, res: Response) {
  sessions.delete(session.id)
  res.clearCookie(COOKIE, { httpOnly: true, sameSite: 'lax' })
}

/** Ends these connections. Their browsers stay known, so that the next page of each can show what happened. */
export function disconnectSessions(isOver: (connection: Connection) => boolean) {
  for (const session of sessions.values()) {
    if (session.connection && isOver(session.connection)) {
      const ended: End = { reason: null, family: session.connection.fam }
      Object.assign(session, { connection: null, ended, apiResult: null, notice: null })
    }
  }
}

function isIdle(session: Session, now: number) {
  return now - session.usedAt > (session.connection || session.ended ? SIGNED_IN_IDLE : SIGNED_OUT_IDLE)
}

function readCookie(req: Request) {
  const pairs = (req.headers.cookie ?? '').split(';').map((pair) => pair.trim())
  return pairs.find((pair) => pair.startsWith(`${COOKIE}=`))?.slice(COOKIE.length + 1)
}
