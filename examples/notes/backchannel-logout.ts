import type { Request, Response } from 'express'
import type { Connection } from './connection.ts'
import { type Logout, LogoutTokenRefused, readLogoutToken } from './logout-token.ts'
import { disconnectSessions } from './sessions.ts'

const REMEMBERED = 24 * 3600_000

/** When Notes received which logout token. */
const heard = new Map<string, number>()

/** Back-channel logout, from server to server: the portal ended something that Notes holds. */
export async function createBackchannelLogout(req: Request, res: Response) {
  const token = (req.body as { logout_token?: unknown } | undefined)?.logout_token
  if (typeof token !== 'string') return refuse(res, 'a form with one logout_token is expected')

  try {
    obey(await readLogoutToken(token))
    return res.status(200).end()
  } catch (problem) {
    if (problem instanceof LogoutTokenRefused) return refuse(res, problem.message)
    throw problem
  }
}

/**
 * The portal repeats a notification when it did not get the answer, and must then get the same one. But a connection made in
 * the meantime is not what the logout was about.
 */
function obey(logout: Logout, now = Date.now()) {
  for (const [id, at] of heard) if (now - at > REMEMBERED) heard.delete(id)
  if (heard.has(logout.id)) return

  disconnectSessions((connection) => isAbout(logout, connection))
  heard.set(logout.id, now)
}

/** `fam` names exactly one connection; other portals name only the user, or their session. */
function isAbout({ fam, sid, sub }: Logout, connection: Connection): boolean {
  if (fam !== undefined) return connection.fam === fam
  if (sub !== undefined && connection.sub !== sub) return false
  return sid === undefined || connection.sid === sid
}

function refuse(res: Response, why: string) {
  return res.status(400).json({ error: 'invalid_request', error_description: why })
}
