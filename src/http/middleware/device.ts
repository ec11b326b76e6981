import { parseCookie } from 'cookie'
import type { Request, Response } from 'express'
import { hashDevice, makeDevice } from '../../domain/sign-in/devices.ts'
import { servicesOf } from '../context.ts'

/** As long as browsers keep any cookie (RFC 6265bis §5.5): 400 days. */
const LIFE_MS = 400 * 86_400_000

/** The device of this browser; null for one that nobody has signed in from. */
export function deviceOf(req: Request): Buffer | null {
  const services = servicesOf(req)
  return hashDevice(services, parseCookie(req.headers.cookie ?? '')[cookieName(services.publicUrl)])
}

/** A device, and the cookie that says so. */
export interface Device {
  hash: Buffer
  cookie: string
}

/** What this browser will be known by when its sign-in succeeds: as before, or by something new. */
export function deviceToKeep(req: Request): Device {
  const services = servicesOf(req)
  const known = parseCookie(req.headers.cookie ?? '')[cookieName(services.publicUrl)]
  const cookie = known !== undefined && hashDevice(services, known) !== null ? known : makeDevice(services)
  return { hash: hashDevice(services, cookie) as Buffer, cookie }
}

/** For somebody who has just signed in: a new browser gets its cookie, a known one keeps it longer. */
export function keepDevice(req: Request, res: Response, { cookie }: Device): void {
  const { publicUrl } = servicesOf(req)
  const secure = publicUrl.startsWith('https:')
  res.cookie(cookieName(publicUrl), cookie, { httpOnly: true, sameSite: 'lax', secure, path: '/', maxAge: LIFE_MS })
}

function cookieName(publicUrl: string): string {
  return publicUrl.startsWith('https:') ? '__Host-device' : 'device'
}
