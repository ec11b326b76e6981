import { randomBytes } from 'node:crypto'
import { parseCookie } from 'cookie'
import { sign, unsign } from 'cookie-signature'
import type { CookieOptions, Request, Response } from 'express'
import { DESTINATION_LIFE } from '../domain/accounts/mail-sign-ins.ts'
import type { DerivedKeys } from '../domain/keys/secrets.ts'
import { servicesOf } from './context.ts'

/**
 * The secret that binds a sign-in link to the browser that asked for it: it is in a signed cookie, and the link keeps its hash.
 * So a link that is passed on, or that an attacker asked for and the owner of the mailbox opens, signs in nowhere.
 */
export function browserOf(req: Request): string | null {
  const { secrets, publicUrl } = servicesOf(req)
  const cookie = parseCookie(req.headers.cookie ?? '')[cookieName(publicUrl)]
  if (cookie === undefined) return null
  return secrets.map((keys) => unsign(cookie, keyFor(keys, publicUrl))).find((each) => each !== false) || null
}

/** The same for a browser that asks for a link: the one it has, or a new one. It lives on, as a second link may be asked for. */
export function browserToKeep(req: Request, res: Response): string {
  const { secrets, publicUrl } = servicesOf(req)
  const secret = browserOf(req) ?? randomBytes(24).toString('base64url')
  const value = sign(secret, keyFor(secrets[0], publicUrl))
  res.cookie(cookieName(publicUrl), value, { ...cookieOptions(publicUrl), maxAge: DESTINATION_LIFE * 1000 })
  return secret
}

/** After the sign-in: the next link gets a new secret. */
export function forgetBrowser(req: Request, res: Response): void {
  const { publicUrl } = servicesOf(req)
  res.clearCookie(cookieName(publicUrl), cookieOptions(publicUrl))
}

/** A portal on another port of this http host may have the same root secret, so the public URL is part of the key. */
function keyFor({ cookies }: DerivedKeys, publicUrl: string): string {
  return `${cookies} mail-sign-in ${publicUrl}`
}

function cookieName(publicUrl: string): string {
  return publicUrl.startsWith('https:') ? '__Host-mail-sign-in' : 'mail-sign-in'
}

function cookieOptions(publicUrl: string): CookieOptions {
  return { httpOnly: true, sameSite: 'lax', secure: publicUrl.startsWith('https:'), path: '/' }
}
