import type { Request, RequestHandler, Response } from 'express'
import { RequestRefused } from '../http-errors.ts'

/**
 * Refuses changes that another site asked a browser for. Browsers say where a request comes from: in Sec-Fetch-Site, or,
 * on plain http, in Origin. A request with neither carries no ambient cookies of a victim: it does not come from a browser.
 */
export function csrfProtection(publicUrl: string): RequestHandler {
  return (req, res, next) => {
    if (req.method === 'GET' || req.method === 'HEAD' || isSameOrigin(req, res, publicUrl)) next()
    else {
      next(
        new RequestRefused(
          403,
          'That came from another site',
          'Another web site tried to change something here, so it was refused.',
          'If it was you, open the page on this site and try again there.',
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
  // Where a page keeps its address secret, browsers do not say its origin either; nobody else knows such an address.
  return origin !== 'null' || res.getHeader('Referrer-Policy') === 'no-referrer'
}
