import type { Request } from 'express'
import { findAppName } from '../oidc/interactions.ts'
import { servicesOf } from './context.ts'

/** The longest return path: that of an interaction, whose URL may carry an authorization request. */
export const LONGEST_RETURN_TO = 14_000
/** The same for every other page. */
const LONGEST_PAGE = 8000

/** Open redirect protection: the path that the user was on the way to, or null. No spelling can name another origin. */
export function safeReturnTo(value: unknown, publicUrl: string): string | null {
  const path = safePath(value, publicUrl)
  if (path === null) return null
  const [page = ''] = path.split('?')
  if (path.length > LONGEST_PAGE && !page.startsWith('/interaction/')) return null
  return PROTOCOL.test(page) || PAGE.test(page) ? path : null
}

/** A path and query of this portal, for a page that may be any. Null for all else. */
export function safePath(value: unknown, publicUrl: string): string | null {
  if (typeof value !== 'string' || value.length > LONGEST_RETURN_TO || !/^\/(?![/\\])[\x21-\x7e]*$/.test(value))
    return null
  const url = URL.parse(value, publicUrl)
  return url !== null && url.origin === publicUrl ? url.pathname + url.search : null
}

/** The address of a page that leads on from there. */
export function withReturnTo(path: string, returnTo: string | null): string {
  return returnTo === null ? path : `${path}?return_to=${encodeURIComponent(returnTo)}`
}

/** The name of the app that the user is signing in to, when there is one. */
export async function appNameOf(req: Request, returnTo: string | null): Promise<string | null> {
  const clientId = clientIdIn(returnTo)
  return clientId === null ? null : findAppName(servicesOf(req), req, clientId)
}

/** The id of the app in the URL of an interaction. */
export function clientIdIn(returnTo: string | null): string | null {
  return new URLSearchParams(returnTo?.split('?')[1]).get('client_id')
}

/** Whether it leads on to an app. */
export function isInteraction(returnTo: string | null): boolean {
  return returnTo?.startsWith('/interaction/') ?? false
}

/** Whether this path belongs to an authorization, which ends at its app. */
export function leadsToApp(path: string): boolean {
  return /^\/(?:interaction\/|oauth\/authorize(?:[/?]|$))/i.test(path)
}

/** The form action that cancels the authorization this page leads back to; null when there is none. */
export function cancelActionOf(returnTo: string | null): string | null {
  const [, uid, query = ''] = /^\/interaction\/([\w-]+)(\?.*)?$/.exec(returnTo ?? '') ?? []
  return uid === undefined ? null : `/interaction/${uid}/cancellation${query}`
}

/**
 * The page of a form that was sent without a sign-in: the Referer's, or the nearest page above the form's path. Null when there
 * is none.
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

/** Where a user tries again after an error of the portal: at the same page, or at that of the form they sent. */
export function pageToTryAgain(req: Request, publicUrl: string): string {
  // A path that begins with two slashes would lead to another host.
  const isSafe = /^\/(?![/\\])[\x21-\x7e]*$/.test(req.originalUrl)
  if (isSafe && (req.method === 'GET' || req.method === 'HEAD')) return req.originalUrl
  return pageOfSentForm(req, publicUrl) ?? '/'
}

/** The page of any form that was sent, for strangers or for users, on the way to the same app. Null when there is none. */
export function pageOfSentForm(req: Request, publicUrl: string): string | null {
  const from = URL.parse(req.get('referer') ?? '')
  const page = from?.origin === publicUrl ? safePath(from.pathname + from.search, publicUrl) : null
  // No page of a form is there: browsers shorten a long Referer to the origin.
  if (page !== null && page !== '/') return page
  if (!FORM.test(req.path)) return pageOfForm(req, publicUrl)
  const { return_to: returnTo } = (req.body ?? {}) as { return_to?: unknown }
  const address = safePath(req.originalUrl, publicUrl)
  return address === null || address.includes('?') ? address : withReturnTo(address, safeReturnTo(returnTo, publicUrl))
}

/** Forms for strangers, whose page has the same path. */
const FORM =
  /^\/(?:login(?:\/mail(?:\/[\w-]+)?)?|register|forgot-password|(?:reset-password|verify-email|not-me|invitation|first-administrator)\/[\w-]+)$/

const PROTOCOL = /^\/(?:interaction\/[\w-]+|oauth\/authorize)$/

/**
 * Every page that needs a sign-in, and those in the middle of one, as Express matches paths: in any case, with a trailing
 * slash.
 */
const PAGE = new RegExp(
  `^/(?:${[
    // Ids of apps and names of roles have dots, tildes and colons.
    'admin(?:/[\\w.~:%-]+)*',
    'dashboard',
    'families/[\\w-]+',
    'sessions(?:/[\\w-]+)?',
    'device',
    'devices/[\\w-]+',
    'apps/[^/]+/(?:disconnection|withdrawal)',
    'activity',
    'settings(?:/(?:profile|password|email|export|deletion|language))?',
    'settings/second-factors(?:/[\\w-]+/[\\w-]+)?',
    'verify-email',
    'terms',
    'reauthentication',
    'login/second-factor',
    'login/connection',
    'settings/linked-accounts',
    'account-restoration',
    'passkey-offer',
  ].join('|')})/?$`,
  'i',
)
