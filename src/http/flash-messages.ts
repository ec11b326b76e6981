import { parseCookie } from 'cookie'
import { sign, unsign } from 'cookie-signature'
import type { CookieOptions, Request, Response } from 'express'
import type { DerivedKeys } from '../domain/keys/secrets.ts'
import { servicesOf } from './context.ts'

/** What a page says about the act before it (a flash message). */
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
} as const

export type FlashMessage = keyof typeof MESSAGES

/** How long a message may be on its way from the act to the page that shows it (ms). */
const LIFE_MS = 60_000
/** Browsers keep 4096 bytes of a cookie, of which its encoding takes some. */
const LONGEST_BACK = 1000

/** What a page says of the act before it, and the page to go back to from there. */
interface Flash {
  words: string
  back: string | null
}

/**
 * Redirects after an act, and has the next page say what was done, once. The message travels in a signed cookie: no link and
 * no other site can make a page say it, a browser that has just been signed out has one too, and no session is written for it.
 * `back` is where the next sign-in leads, where that is asked for first.
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

/** What this page is to say; from then on the browser has no message any more. Null when there is none. */
export function takeFlashWords(req: Request, res: Response): string | null {
  return takeFlash(req, res)?.words ?? null
}

/** The same, with the page that a form was on which was sent without a sign-in. */
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

/** A portal on another port of this http host may have the same root secret, and its messages are not ours. */
function keyFor({ cookies }: DerivedKeys, publicUrl: string): string {
  return `${cookies} ${publicUrl}`
}

/** The name of the cookie with that message. */
export function flashCookie(req: Request): string {
  return servicesOf(req).publicUrl.startsWith('https:') ? '__Host-notice' : 'notice'
}

function cookieOptions(req: Request): CookieOptions {
  return { httpOnly: true, sameSite: 'lax', secure: servicesOf(req).publicUrl.startsWith('https:'), path: '/' }
}
