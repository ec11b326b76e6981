import compression from 'compression'
import type { Request, RequestHandler, Response } from 'express'

/** Compresses pages (Brotli, else gzip) where their length tells an attacker nothing about their content (BREACH). */
export function compressPages(): RequestHandler {
  return compression({ filter: (req, res) => isPage(res) && isSafeToCompress(req) })
}

function isPage(res: Response): boolean {
  return /^text\/html\b/.test(String(res.getHeader('Content-Type')))
}

/**
 * BREACH: an attacker who makes a signed-in browser ask for a page with a guess in its URL, and sees how long the encrypted answer is,
 * learns from many of them what else is on the page. So no page about a user is compressed when another site caused the request.
 * Programs and old browsers do not say what caused theirs (Sec-Fetch-Site), and get no compressed page about a user either. A page for
 * a stranger, such as the sign-in page, holds no secret: CSRF protection here needs no token in pages.
 */
function isSafeToCompress(req: Request): boolean {
  const isStranger = (req.signedIn ?? null) === null
  return isStranger || /^(same-origin|none)$/.test(req.get('Sec-Fetch-Site') ?? '')
}
