import type { Request } from 'express'

/** What was just done, carried through a redirect by name, so nobody else's words can be put on a page. */
const NOTICES = {
  'signed-out': 'You are signed out.',
  'family-ended': 'That sign-in was ended.',
  disconnected: 'The app was disconnected.',
  'session-ended': 'That browser was signed out.',
  'others-ended': 'Every other browser was signed out.',
  'device-forgotten': 'That browser is not known any more.',
  'second-factor-added': 'The second factor was added.',
  'second-factor-renamed': 'The second factor has a new name.',
  'second-factor-removed': 'The second factor was removed.',
  'no-second-factor': 'Your last second factor was removed. From now on your password alone signs you in.',
} as const

export type Notice = keyof typeof NOTICES

export function noticeOf(req: Request): string | null {
  const name = req.query['notice']
  return typeof name === 'string' && Object.hasOwn(NOTICES, name) ? NOTICES[name as Notice] : null
}
