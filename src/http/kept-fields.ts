import { parseCookie } from 'cookie'
import { sign, unsign } from 'cookie-signature'
import type { CookieOptions, Request, Response } from 'express'
import { PROFILE_FIELDS } from '../domain/identities/profiles.ts'
import type { DerivedKeys } from '../domain/keys/secrets.ts'
import { servicesOf } from './context.ts'

/** The fields that a form keeps while its user signs in again: none that proves who they are. */
const FIELDS = [
  'email',
  ...PROFILE_FIELDS,
  // Of the administration.
  'username',
  'roles',
  'client_id',
  'attribute',
  'value',
  'group',
  'description',
  'people',
] as const

/** Forms of a signed-in user whose page has the same path. */
const PAGES = /^\/(?:settings|admin)\/[\w/-]+$/

type Kept = Partial<Record<(typeof FIELDS)[number], string>>

/** As long as a pending sign-in, which may have two steps (seconds). */
const LIFE = 600
const COOKIE = 'kept-form'
const LONGEST = 320
/** Of the whole form; browsers keep at most 4096 bytes of a cookie. */
const LONGEST_KEPT = 2000

/**
 * Keeps the fields of a form that was sent without a (recent) sign-in, for the page at the same path to fill in afterwards.
 * They travel in a signed cookie that the browser sends to that page alone, so nothing is stored for a stranger.
 */
export function keepFields(req: Request, res: Response): void {
  if (!PAGES.test(req.path)) return
  const body = (req.body ?? {}) as Record<string, unknown>
  const kept = Object.fromEntries(
    FIELDS.flatMap((name) => {
      const value = body[name]
      return typeof value === 'string' && value !== '' && value.length <= LONGEST ? [[name, value]] : []
    }),
  )
  if (Object.keys(kept).length === 0) return
  if (Buffer.byteLength(JSON.stringify(kept)) > LONGEST_KEPT) return
  const { secrets, clock } = servicesOf(req)
  const value = Buffer.from(JSON.stringify({ until: clock().getTime() + LIFE * 1000, kept })).toString('base64url')
  res.cookie(COOKIE, sign(value, keyFor(req, secrets[0])), { ...cookieOptions(req), maxAge: LIFE * 1000 })
}

/** Takes out what this page kept. Empty when there is nothing. */
export function takeFields(req: Request, res: Response): Kept {
  const { secrets, clock } = servicesOf(req)
  const cookie = parseCookie(req.headers.cookie ?? '')[COOKIE]
  if (cookie === undefined) return {}
  res.clearCookie(COOKIE, cookieOptions(req))
  const value = secrets.map((keys) => unsign(cookie, keyFor(req, keys))).find((each) => each !== false)
  if (!value) return {}
  const { until, kept } = JSON.parse(Buffer.from(value, 'base64url').toString()) as { until: number; kept: Kept }
  return clock().getTime() < until ? kept : {}
}

/** Nothing that another page or another portal kept is taken here. */
function keyFor(req: Request, { cookies }: DerivedKeys): string {
  return `${cookies} ${servicesOf(req).publicUrl}${req.path}`
}

function cookieOptions(req: Request): CookieOptions {
  const isHttps = servicesOf(req).publicUrl.startsWith('https:')
  return { httpOnly: true, sameSite: 'lax', secure: isHttps, path: req.path }
}
