import type { Request } from 'express'

/** Longest path a person is led back to: that of an interaction, in whose URL an authorization request may travel. */
export const LONGEST_RETURN_TO = 14_000
/** The same for every other page, of which none is that long. */
const LONGEST_PAGE = 8000

/** The place on this portal a person was on their way to, or null: no other origin can be named, however it is written. */
export function safeReturnTo(value: unknown, publicUrl: string): string | null {
  if (typeof value !== 'string' || value.length > LONGEST_RETURN_TO || !/^\/(?![/\\])[\x21-\x7e]*$/.test(value))
    return null
  const url = URL.parse(value, publicUrl)
  if (url === null || url.origin !== publicUrl) return null
  if (value.length > LONGEST_PAGE && !url.pathname.startsWith('/interaction/')) return null
  return PROTOCOL.test(url.pathname) || PAGE.test(url.pathname) ? url.pathname + url.search : null
}

/** Whether it leads on to an app. */
export function isInteraction(returnTo: string | null): boolean {
  return returnTo?.startsWith('/interaction/') ?? false
}

/** Whether this path is one of an authorization, which ends at its app. */
export function leadsToApp(path: string): boolean {
  return /^\/(?:interaction\/|oauth\/authorize(?:[/?]|$))/i.test(path)
}

/** Where the form goes that gives up on the authorization this page leads back to; null when it leads to none. */
export function cancelActionOf(returnTo: string | null): string | null {
  const [, uid, query = ''] = /^\/interaction\/([\w-]+)(\?.*)?$/.exec(returnTo ?? '') ?? []
  return uid === undefined ? null : `/interaction/${uid}/cancellation${query}`
}

/**
 * The page of a form that was sent without a sign-in: the one the browser says it is on, or the nearest page above the path
 * of the form. Null when there is none.
 */
export function pageOfForm(req: Request, publicUrl: string): string | null {
  const from = URL.parse(req.get('referer') ?? '')
  if (from?.origin === publicUrl && PAGE.test(from.pathname))
    return safeReturnTo(from.pathname + from.search, publicUrl)
  for (let path = req.path; path.length > 1; path = path.slice(0, path.lastIndexOf('/'))) {
    if (PAGE.test(path)) return safeReturnTo(path, publicUrl)
  }
  return null
}

const PROTOCOL = /^\/(?:interaction\/[\w-]+|oauth\/authorize)$/

/** Every page a person needs a sign-in for, and those in the middle of one, as Express reads paths: in any case, with a slash at the end. */
const PAGE = new RegExp(
  `^/(?:${[
    'dashboard',
    'families/[\\w-]+',
    'sessions',
    'activity',
    'settings(?:/(?:password|email|export|deletion))?',
    'settings/second-factors(?:/[\\w-]+/[\\w-]+)?',
    'verify-email',
    'reauthentication',
    'login/second-factor',
    'account-restoration',
  ].join('|')})/?$`,
  'i',
)
