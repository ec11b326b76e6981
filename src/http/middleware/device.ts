import { parseCookie } from 'cookie'
import type { Request, Response } from 'express'
import { hashDevice, makeDevice } from '../../domain/devices.ts'
import { portalOf } from '../context.ts'

/** As long as browsers keep any cookie (RFC 6265bis §5.5): 400 days. */
const LIFE_MS = 400 * 86_400_000

/** The device of this browser; null for one that nobody has signed in from. */
export function deviceOf(req: Request): Buffer | null {
  const portal = portalOf(req)
  return hashDevice(portal, parseCookie(req.headers.cookie ?? '')[cookieName(portal.publicUrl)])
}

/** The same for somebody who has just proved who they are: a new browser gets its cookie, a known one keeps it longer. */
export function keepDevice(req: Request, res: Response): Buffer {
  const portal = portalOf(req)
  const name = cookieName(portal.publicUrl)
  const known = parseCookie(req.headers.cookie ?? '')[name]
  const device = known !== undefined && hashDevice(portal, known) !== null ? known : makeDevice(portal)
  const secure = portal.publicUrl.startsWith('https:')
  res.cookie(name, device, { httpOnly: true, sameSite: 'lax', secure, path: '/', maxAge: LIFE_MS })
  return hashDevice(portal, device) as Buffer
}

function cookieName(publicUrl: string): string {
  return publicUrl.startsWith('https:') ? '__Host-device' : 'device'
}
