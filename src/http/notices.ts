import type { Request } from 'express'

/** What was just done, carried through a redirect by name, so nobody else's words can be put on a page. */
const NOTICES = {
  'signed-out': 'You are signed out.',
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

export type Notice = keyof typeof NOTICES

export function noticeOf(req: Request): string | null {
  const name = req.query['notice']
  return typeof name === 'string' && Object.hasOwn(NOTICES, name) ? NOTICES[name as Notice] : null
}
