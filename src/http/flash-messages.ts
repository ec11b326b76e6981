import { parseCookie } from 'cookie'
import { sign, unsign } from 'cookie-signature'
import type { CookieOptions, Request, Response } from 'express'
import type { DerivedKeys } from '../domain/keys/secrets.ts'
import { servicesOf } from './context.ts'

/** The flash messages: what a page says about the act before it. */
const MESSAGES = {
  'signed-out': 'You are signed out.',
  'sign-in-over': 'You had been signed out, so nothing was done. Sign in and try again.',
  'signed-out-everywhere': 'You are signed out of every browser and every app.',
  'family-ended': 'That sign-in was ended.',
  disconnected: 'The app was disconnected.',
  'session-ended': 'That browser was signed out.',
  'others-ended': 'Every other browser was signed out.',
  'device-forgotten': 'That browser is not known any more.',
  'second-factor-added': 'The second factor was added.',
  'second-factor-renamed': 'The second factor has a new name.',
  'second-factor-removed': 'The second factor was removed.',
  'no-second-factor': 'Your last second factor was removed. From now on your password alone signs you in.',
  'password-reset': 'Your password is changed, and you are signed out everywhere. Sign in with the new one.',
  'password-changed': 'Your password is changed. Every other browser and every app was signed out.',
  'verification-sent': 'A mail with a new link is on its way.',
  'address-confirmed': 'Your e-mail address is confirmed.',
  'address-change-asked': 'A mail with a link is on its way to the new address.',
  'address-change-withdrawn': 'Your e-mail address stays as it is.',
  'address-changed': 'Your e-mail address is changed.',
  'language-changed': 'Your language and time zone were saved.',
} as const

export type FlashMessage = keyof typeof MESSAGES

/** A message expires after this long between the act and the page that shows it (ms). */
const LIFE_MS = 60_000
/** Browsers keep at most 4096 bytes of a cookie, and the encoding needs some of them. */
const LONGEST_BACK = 1000

/** A flash message, and the page to go back to from there. */
interface Flash {
  words: string
  back: string | null
}

/**
 * Redirects after an act with a flash message, which the next page shows once.
 * It travels in a signed cookie. So no link and no other site can forge a message, a browser that was just signed out gets one
 * too, and no session is written for it. `back` is where the next sign-in leads, where a sign-in is asked for first.
 */
export function redirectWith(
  req: Request,
  res: Response,
  notice: FlashMessage,
  path: string,
  back: string | null = null,
): void {
  const { secrets, clock, publicUrl } = servicesOf(req)
  const page = back === null || back.length > LONGEST_BACK ? '' : `.${back}`
  const value = sign(`${notice}.${clock().getTime()}${page}`, keyFor(secrets[0], publicUrl))
  res.cookie(flashCookie(req), value, cookieOptions(req))
  res.redirect(303, path)
}

/** Takes the flash message for this page out of the cookie. Null when there is none. */
export function takeFlashWords(req: Request, res: Response): string | null {
  return takeFlash(req, res)?.words ?? null
}

/** The same, with the page of a form that was sent without a sign-in. */
export function takeFlash(req: Request, res: Response): Flash | null {
  const { secrets, clock, publicUrl } = servicesOf(req)
  const cookie = parseCookie(req.headers.cookie ?? '')[flashCookie(req)]
  if (cookie === undefined) return null
  res.clearCookie(flashCookie(req), cookieOptions(req))
  const signed = secrets.map((keys) => unsign(cookie, keyFor(keys, publicUrl))).find((each) => each !== false)
  const [name, since, ...back] = (signed || '').split('.')
  const isCurrent = clock().getTime() - Number(since) < LIFE_MS
  if (!isCurrent || name === undefined || !Object.hasOwn(MESSAGES, name)) return null
  return { words: MESSAGES[name as FlashMessage], back: back.length > 0 ? back.join('.') : null }
}

/** A portal on another port of this http host may have the same root secret, so the public URL is part of the key. */
function keyFor({ cookies }: DerivedKeys, publicUrl: string): string {
  return `${cookies} ${publicUrl}`
}

/** The name of the flash message cookie. */
export function flashCookie(req: Request): string {
  return servicesOf(req).publicUrl.startsWith('https:') ? '__Host-notice' : 'notice'
}

function cookieOptions(req: Request): CookieOptions {
  return { httpOnly: true, sameSite: 'lax', secure: servicesOf(req).publicUrl.startsWith('https:'), path: '/' }
}
