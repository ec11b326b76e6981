import { parseCookie } from 'cookie'
import { sign, unsign } from 'cookie-signature'
import type { CookieOptions, Request, Response } from 'express'
import {
  ARRIVAL_LIFE,
  findArrival,
  isOfArrival,
  type KeptArrival,
  linkArrival,
} from '../domain/accounts/upstream-sign-ins.ts'
import { findIdentity } from '../domain/identities/identities.ts'
import type { DerivedKeys } from '../domain/keys/secrets.ts'
import type { SignIn } from '../domain/sign-in/identity-sessions.ts'
import { type Message, message } from '../i18n/messages.ts'
import { servicesOf } from './context.ts'
import { logEvent } from './event-log.ts'
import { type FlashMessage, leaveFlash } from './flash-messages.ts'

/** Account linking: the page on which a user signs in once, to link the account at a provider that they came with. */
export const ACCOUNT_LINK_PAGE = '/login/connection'

/** Keeps in this browser what a sign-in on that page will link. */
export function keepAccountLink(req: Request, res: Response, secret: string): void {
  const { secrets, publicUrl } = servicesOf(req)
  const value = sign(secret, keyFor(secrets[0], publicUrl))
  res.cookie(cookieName(publicUrl), value, { ...cookieOptions(publicUrl), maxAge: ARRIVAL_LIFE * 1000 })
}

/** What waits in this browser; null when nothing does, or not any more. */
export async function waitingAccountOf(req: Request): Promise<KeptArrival | null> {
  const secret = secretOf(req)
  return secret === null ? null : findArrival(servicesOf(req), secret)
}

/** Why the user is asked to sign in, in words. */
export function whyToLink({ why, account }: KeptArrival): Message {
  return message('connection.why', { why: why.replaceAll('-', '_'), provider: account.provider })
}

/**
 * After a sign-in on that page: links what waits, where the provider has verified the address of the identity itself. Any other
 * identity is asked first, on the same page. @returns where the user goes next
 */
export async function linkAfterSignIn(req: Request, res: Response, signedIn: SignIn): Promise<string> {
  const arrival = await waitingAccountOf(req)
  if (arrival === null) return '/dashboard'
  const identity = await findIdentity(servicesOf(req), signedIn.identityId)
  if (identity === null || !isOfArrival(arrival, identity)) return ACCOUNT_LINK_PAGE
  return (await linkWaitingAccount(req, res, signedIn)) ?? ACCOUNT_LINK_PAGE
}

/** Links what waits. @returns where the user goes next; null when the sign-in is not fresh enough */
export async function linkWaitingAccount(req: Request, res: Response, signedIn: SignIn): Promise<string | null> {
  const [secret, arrival] = [secretOf(req), await waitingAccountOf(req)]
  if (secret === null || arrival === null) return '/dashboard'
  const outcome = await linkArrival(servicesOf(req), signedIn, secret, req.clientInfo)
  if (outcome.kind === 'lapsed') return null
  if (outcome.kind === 'linked') logEvent(req, 'account_linked', { provider: arrival.account.providerId })
  if (outcome.kind !== 'lost')
    leaveFlash(req, res, LINK_FLASHES[outcome.kind], { values: { provider: arrival.account.provider } })
  forgetAccountLink(req, res)
  return arrival.destination ?? '/dashboard'
}

/** The flash message about each outcome. */
export const LINK_FLASHES = {
  linked: 'account-linked',
  'linked-before': 'account-linked-before',
  'linked-elsewhere': 'account-linked-elsewhere',
  'too-many': 'too-many-accounts',
} as const satisfies Record<string, FlashMessage>

export function forgetAccountLink(req: Request, res: Response): void {
  const { publicUrl } = servicesOf(req)
  res.clearCookie(cookieName(publicUrl), cookieOptions(publicUrl))
}

function secretOf(req: Request): string | null {
  const { secrets, publicUrl } = servicesOf(req)
  const cookie = parseCookie(req.headers.cookie ?? '')[cookieName(publicUrl)]
  if (cookie === undefined) return null
  return secrets.map((keys) => unsign(cookie, keyFor(keys, publicUrl))).find((each) => each !== false) || null
}

/** A portal on another port of this http host may have the same root secret, so the public URL is part of the key. */
function keyFor({ cookies }: DerivedKeys, publicUrl: string): string {
  return `${cookies} account-link ${publicUrl}`
}

function cookieName(publicUrl: string): string {
  return publicUrl.startsWith('https:') ? '__Host-account-link' : 'account-link'
}

function cookieOptions(publicUrl: string): CookieOptions {
  return { httpOnly: true, sameSite: 'lax', secure: publicUrl.startsWith('https:'), path: '/' }
}
