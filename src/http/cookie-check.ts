import type { Request, Response } from 'express'
import { servicesOf } from './context.ts'
import { message } from '../i18n/messages.ts'
import { RequestRefused, wordsOf } from './http-errors.ts'
import { safeReturnTo } from './return-to.ts'

const CHECK = '/login/cookie-check'

/**
 * Where a sign-in leads after it set its cookie: to `next`, or to the cookie check for a browser that has not sent back any
 * cookie so far. Strangers get no cookie, so only now does it show whether the browser keeps them.
 */
export function nextAfterCookie(req: Request, next: string): string {
  const isOnPage = URL.parse(req.get('referer') ?? '')?.origin === servicesOf(req).publicUrl
  return isOnPage && !sendsCookies(req) ? `${CHECK}?return_to=${encodeURIComponent(next)}` : next
}

/** GET /login/cookie-check: a browser without cookies would be asked to sign in again and again. */
export function showCookieCheck(req: Request, res: Response): void {
  const returnTo = safeReturnTo(req.query['return_to'], servicesOf(req).publicUrl)
  if (sendsCookies(req)) return res.redirect(303, returnTo ?? '/dashboard')
  throw new RequestRefused(
    400,
    wordsOf('errors.no_cookies.title', 'errors.no_cookies.sentence', 'errors.no_cookies.advice'),
    { href: '/login', label: message('sign_out.again_button') },
  )
}

export function sendsCookies(req: Request): boolean {
  return req.headers.cookie !== undefined
}
