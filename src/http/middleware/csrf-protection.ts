import type { Request, RequestHandler, Response } from 'express'
import { RequestRefused, wordsOf } from '../http-errors.ts'

/**
 * CSRF protection: refuses cross-site state-changing requests (Fetch Metadata, then Origin).
 * Browsers send Sec-Fetch-Site, or, on plain http, Origin. A request with neither comes from a program, which carries no
 * cookies of a victim.
 */
export function csrfProtection(publicUrl: string): RequestHandler {
  return (req, res, next) => {
    if (req.method === 'GET' || req.method === 'HEAD' || isSameOrigin(req, res, publicUrl)) next()
    else {
      next(
        new RequestRefused(
          403,
          wordsOf('errors.other_site.title', 'errors.other_site.sentence', 'errors.other_site.advice'),
        ),
      )
    }
  }
}

function isSameOrigin(req: Request, res: Response, publicUrl: string): boolean {
  const origin = req.get('origin')
  if (origin !== undefined && origin !== 'null' && origin !== publicUrl) return false
  const site = req.get('sec-fetch-site')
  if (site !== undefined) return site === 'same-origin' || site === 'none'
  // Pages with a secret URL have Referrer-Policy no-referrer, so their forms send `Origin: null`. No other site knows such a
  // URL.
  return origin !== 'null' || res.getHeader('Referrer-Policy') === 'no-referrer'
}
