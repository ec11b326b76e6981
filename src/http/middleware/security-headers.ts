import type { ServerResponse } from 'node:http'
import type { Request, RequestHandler, Response } from 'express'
import helmet from 'helmet'

/** HSTS (Strict-Transport-Security): browsers use https for a year; null when the portal is on http. */
export interface StrictTransport {
  includeSubDomains: boolean
}

const HSTS_SECONDS = 31_536_000

/** The security headers of every response. */
export function setBaseHeaders(res: ServerResponse, strictTransport: StrictTransport | null): void {
  res.setHeader('X-Content-Type-Options', 'nosniff')
  res.setHeader('X-Frame-Options', 'DENY')
  // Not no-referrer: browsers without Sec-Fetch-Site would then send `Origin: null` with the portal's own forms.
  res.setHeader('Referrer-Policy', 'same-origin')
  res.setHeader('Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'")
  res.setHeader('Cross-Origin-Opener-Policy', 'same-origin')
  res.setHeader('Permissions-Policy', 'camera=(), geolocation=(), microphone=(), payment=(), usb=()')
  if (strictTransport === null) return
  const { includeSubDomains } = strictTransport
  res.setHeader('Strict-Transport-Security', `max-age=${HSTS_SECONDS}${includeSubDomains ? '; includeSubDomains' : ''}`)
}

/** The security headers of pages: CSP without inline or foreign content, and no framing (clickjacking). */
export function pageHeaders(): RequestHandler[] {
  return [
    helmet({
      contentSecurityPolicy: { useDefaults: false, directives: { ...DIRECTIVES, 'form-action': ["'self'"] } },
      // With the headers of every response.
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
 * CSP `form-action` applies to every redirect that a form leads through, and these forms lead on to an app, or to its scheme.
 * These pages belong to the portal; their only other form, the language switch, leads to a page of the portal.
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

/** For pages whose URL is a secret: Referrer-Policy no-referrer, so no link and no form sends it on. */
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
