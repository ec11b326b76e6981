import { parseCookie } from 'cookie'
import { sign, unsign } from 'cookie-signature'
import type { CookieOptions, Request, Response } from 'express'
import type { DerivedKeys } from '../domain/keys/secrets.ts'
import { message } from '../i18n/messages.ts'
import { servicesOf, textsOf } from './context.ts'

/** The flash messages: what a page says about the act before it. */
const MESSAGES = {
  'signed-out': 'You are signed out.',
  'sign-in-over': 'You had been signed out, so nothing was changed. Sign in to go back to the form.',
  'sign-in-ended': 'You are not signed in here any more. Sign in to continue.',
  'sign-in-expired': 'That took too long, so sign in again from the start.',
  'not-signed-in': 'You are not signed in, so there is nothing to sign out of.',
  'already-signed-in': 'You are signed in already. To create another account, sign out first.',
  registered: 'Your account is ready.',
  'account-kept': 'Your account is kept. Sign in again in your other browsers and your apps.',
  'recovery-code-used': ({ count }: Values) =>
    count === 0
      ? 'That was your last recovery code. Make new ones in your settings.'
      : `You used a recovery code. You have ${count} left.`,
  'reset-link-incomplete': 'The link was not complete. You can have a new one sent.',
  'sign-in-disowned': 'Every browser and every app was signed out. Now choose a new password.',
  'signed-out-everywhere': 'You are signed out of every browser and every app.',
  'family-ended': message('flash.family_ended'),
  disconnected: message('flash.disconnected'),
  'session-ended': message('flash.session_ended'),
  'others-ended': message('flash.others_ended'),
  'device-forgotten': message('flash.device_forgotten'),
  'device-renamed': message('flash.device_renamed'),
  'second-factor-added': 'The sign-in method was added.',
  'second-factor-renamed': 'The sign-in method has a new name.',
  'second-factor-removed': 'The sign-in method was removed.',
  'no-second-factor': 'Two-step verification is off. From now on your password alone signs you in.',
  'trust-ended': 'Every browser asks for the second step again.',
  'recovery-codes-replaced': 'Those recovery codes do not work any more. Make new ones.',
  'password-reset': 'Your password is changed, and you are signed out everywhere. Sign in with the new one.',
  'password-changed': 'Your password is changed. Every other browser and every app was signed out.',
  'verification-sent': 'A mail with a new link is on its way.',
  'address-confirmed': 'Your e-mail address is confirmed.',
  'address-change-asked': 'A mail with a link is on its way to the new address.',
  'address-change-withdrawn': 'Your e-mail address stays as it is.',
  'address-changed': 'Your e-mail address is changed.',
  'language-changed': 'Your language and time zone were saved.',
} as const

type Values = Record<string, string | number>

export type FlashMessage = keyof typeof MESSAGES

/** A message expires after this long between the act and the page that shows it (ms). */
const LIFE_MS = 60_000
/** What a request has taken already. */
const taken = new WeakMap<Request, Flash | null>()
/** Browsers keep at most 4096 bytes of a cookie, and the encoding needs some of them. */
const LONGEST_BACK = 1000

/** A flash message, and the page to go back to from there. */
interface Flash {
  words: string
  back: string | null
}

/** What a message is about, beside its name. */
interface Details {
  values?: Values
  /** Where the next sign-in leads, where a sign-in is asked for first. */
  back?: string | null
}

/** Redirects after an act with a flash message, which the next page shows once. */
export function redirectWith(
  req: Request,
  res: Response,
  notice: FlashMessage,
  path: string,
  details: Details = {},
): void {
  leaveFlash(req, res, notice, details)
  res.redirect(303, path)
}

/**
 * Leaves a flash message for the page that the response leads to.
 * It travels in a signed cookie. So no link and no other site can forge a message, a browser that was just signed out gets one
 * too, and no session is written for it.
 */
export function leaveFlash(
  req: Request,
  res: Response,
  notice: FlashMessage,
  { values = {}, back = null }: Details = {},
): void {
  const { secrets, clock, publicUrl } = servicesOf(req)
  const details = { values, back: back !== null && back.length > LONGEST_BACK ? null : back }
  const sealed = Buffer.from(JSON.stringify(details)).toString('base64url')
  const value = sign(`${notice}.${clock().getTime()}.${sealed}`, keyFor(secrets[0], publicUrl))
  res.cookie(flashCookie(req), value, cookieOptions(req))
}

/** Takes the flash message for this page out of the cookie, with the page of a form that was sent without a sign-in. */
export function takeFlash(req: Request, res: Response): Flash | null {
  const before = taken.get(req)
  if (before !== undefined) return before
  const flash = readFlash(req, res)
  taken.set(req, flash)
  return flash
}

function readFlash(req: Request, res: Response): Flash | null {
  const { secrets, clock, publicUrl } = servicesOf(req)
  const cookie = parseCookie(req.headers.cookie ?? '')[flashCookie(req)]
  if (cookie === undefined) return null
  res.clearCookie(flashCookie(req), cookieOptions(req))
  const signed = secrets.map((keys) => unsign(cookie, keyFor(keys, publicUrl))).find((each) => each !== false)
  const [name, since, details] = (signed || '').split('.')
  const isCurrent = clock().getTime() - Number(since) < LIFE_MS
  if (!isCurrent || name === undefined || details === undefined || !Object.hasOwn(MESSAGES, name)) return null
  const { values, back } = JSON.parse(Buffer.from(details, 'base64url').toString()) as Required<Details>
  const words = MESSAGES[name as FlashMessage]
  if (typeof words === 'object') return { words: textsOf(req).say({ ...words, values }), back }
  return { words: typeof words === 'string' ? words : words(values), back }
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
