import { parseCookie } from 'cookie'
import type { Request, Response } from 'express'
import { hashDevice, makeDevice } from '../../domain/sign-in/devices.ts'
import { servicesOf } from '../context.ts'

/** The longest life that browsers allow a cookie (RFC 6265bis §5.5): 400 days. */
const LIFE_MS = 400 * 86_400_000

/** The device of this browser; null for a browser without an earlier sign-in. */
export function deviceOf(req: Request): Buffer | null {
  const services = servicesOf(req)
  return hashDevice(services, parseCookie(req.headers.cookie ?? '')[cookieName(services.publicUrl)])
}

/** A device, and its cookie. */
export interface Device {
  hash: Buffer
  cookie: string
}

/** The device id for a sign-in in this browser: the known one, or a new one. */
export function deviceToKeep(req: Request): Device {
  const services = servicesOf(req)
  const known = parseCookie(req.headers.cookie ?? '')[cookieName(services.publicUrl)]
  const cookie = known !== undefined && hashDevice(services, known) !== null ? known : makeDevice(services)
  return { hash: hashDevice(services, cookie) as Buffer, cookie }
}

/** After a sign-in: sets the device cookie in a new browser, and renews it in a known one. */
export function keepDevice(req: Request, res: Response, { cookie }: Device): void {
  const { publicUrl } = servicesOf(req)
  const secure = publicUrl.startsWith('https:')
  res.cookie(cookieName(publicUrl), cookie, { httpOnly: true, sameSite: 'lax', secure, path: '/', maxAge: LIFE_MS })
}

function cookieName(publicUrl: string): string {
  return publicUrl.startsWith('https:') ? '__Host-device' : 'device'
}
