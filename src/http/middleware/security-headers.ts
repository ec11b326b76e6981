import type { ServerResponse } from 'node:http'
import type { Request, RequestHandler, Response } from 'express'
import helmet from 'helmet'

/** HSTS: browsers are told to come back over https for a year, or (null) nothing, because the portal is on http. */
export interface StrictTransport {
  includeSubDomains: boolean
}

const HSTS_SECONDS = 31_536_000

/** What every answer carries, whoever makes it. */
export function setBaseHeaders(res: ServerResponse, strictTransport: StrictTransport | null): void {
  res.setHeader('X-Content-Type-Options', 'nosniff')
  res.setHeader('X-Frame-Options', 'DENY')
  // Not no-referrer: browsers then send `Origin: null` with our own forms where they send no Sec-Fetch-Site.
  res.setHeader('Referrer-Policy', 'same-origin')
  res.setHeader('Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'")
  res.setHeader('Cross-Origin-Opener-Policy', 'same-origin')
  res.setHeader('Permissions-Policy', 'camera=(), geolocation=(), microphone=(), payment=(), usb=()')
  if (strictTransport === null) return
  const { includeSubDomains } = strictTransport
  res.setHeader('Strict-Transport-Security', `max-age=${HSTS_SECONDS}${includeSubDomains ? '; includeSubDomains' : ''}`)
}

/** What pages carry besides. Nothing inline, nothing foreign. */
export function pageHeaders(): RequestHandler[] {
  return [
    helmet({
      contentSecurityPolicy: { useDefaults: false, directives: { ...DIRECTIVES, 'form-action': ["'self'"] } },
      // With what every answer carries.
      strictTransportSecurity: false,
      crossOriginOpenerPolicy: false,
      referrerPolicy: { policy: 'same-origin' },
      xFrameOptions: { action: 'deny' },
    }),
    (_req, res, next) => {
      res.setHeader('Cache-Control', 'no-store')
      next()
    },
  ]
}

/**
 * Browsers hold `form-action` against every redirect a form leads through, and these forms lead on to an app, or to the
 * scheme of one. The pages are ours and have no other form.
 */
export function letFormsLeadOn(_req: Request, res: Response, next: () => void): void {
  res.setHeader(
    'Content-Security-Policy',
    Object.entries(DIRECTIVES)
      .map(([name, values]) => `${name} ${values.join(' ')}`)
      .join(';'),
  )
  next()
}

/** For pages whose address is a secret: no link and no form on them tells it to anybody, this portal included. */
export function keepUrlSecret(_req: Request, res: Response, next: () => void): void {
  res.setHeader('Referrer-Policy', 'no-referrer')
  next()
}

const DIRECTIVES = {
  'default-src': ["'none'"],
  'script-src': ["'self'"],
  'style-src': ["'self'"],
  'img-src': ["'self'", 'data:'],
  'connect-src': ["'self'"],
  'base-uri': ["'none'"],
  'object-src': ["'none'"],
  'frame-ancestors': ["'none'"],
}
