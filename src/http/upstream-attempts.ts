import { hash } from 'node:crypto'
import { parseCookie } from 'cookie'
import type { CookieOptions, Request, Response } from 'express'
import { ATTEMPT_LIFE, keepDestination, keptDestinationOf } from '../domain/accounts/upstream-sign-ins.ts'
import { decryptWithAny, encrypt } from '../domain/keys/encryption.ts'
import { admitUpstreamReturn } from '../domain/limits/login-throttling.ts'
import type { UpstreamChecks } from '../domain/upstream.ts'
import { servicesOf } from './context.ts'
import { TooManyAttempts } from './http-errors.ts'

/**
 * A user who is away at another provider. It is in an encrypted cookie of the browser that left, so the answer works in no other
 * (login CSRF), and strangers store nothing.
 */
export interface UpstreamAttempt {
  providerId: string
  checks: UpstreamChecks
  /** What for: to sign in, to link the account with that of a signed-in user, or to prove again who that is. */
  purpose: 'sign-in' | 'link' | 'proof'
  /** The identity session of a signed-in user. */
  identitySessionId: string | null
  /** Whether the provider was asked to let its user prove anew who they are. */
  isProofAgain: boolean
  returnTo: string | null
  /** Milliseconds since 1970. */
  since: number
}

/** A browser keeps 4096 bytes of a cookie. A longer path is stored, with a limit. */
const LONGEST_IN_COOKIE = 1500
/** Attempts in one browser: one tab each. */
const MOST_ATTEMPTS = 3
const PREFIX = 'upstream-'

/** Keeps the attempt in this browser, beside those of other tabs. @throws TooManyAttempts */
export async function keepAttempt(req: Request, res: Response, attempt: UpstreamAttempt): Promise<void> {
  const services = servicesOf(req)
  const { secrets, publicUrl } = services
  const { state } = attempt.checks
  const isLong = attempt.returnTo !== null && attempt.returnTo.length > LONGEST_IN_COOKIE
  if (isLong) {
    const admission = await admitUpstreamReturn(services, req.clientInfo.address)
    if (admission.kind === 'wait') throw new TooManyAttempts(admission, services.clock())
    await keepDestination(services, state, attempt.returnTo as string)
  }
  const others = attemptsIn(req).toSorted((a, b) => a.attempt.since - b.attempt.since)
  for (const { name } of others.slice(0, Math.max(0, others.length - MOST_ATTEMPTS + 1)))
    res.clearCookie(name, cookieOptions(publicUrl))
  const text = JSON.stringify({ ...attempt, returnTo: isLong ? null : attempt.returnTo })
  const value = encrypt(text, purposeOf(publicUrl), secrets[0].upstreamAttempt)
  res.cookie(nameFor(state, publicUrl), value, { ...cookieOptions(publicUrl), maxAge: ATTEMPT_LIFE * 1000 })
}

/** The attempt that this browser began at this provider with this state; null when there is none, or it took too long. */
export async function findAttempt(req: Request, providerId: string, state: string): Promise<UpstreamAttempt | null> {
  const services = servicesOf(req)
  const found = attemptsIn(req).find(({ attempt }) => attempt.checks.state === state)?.attempt
  if (found === undefined || found.providerId !== providerId) return null
  if (services.clock().getTime() - found.since >= ATTEMPT_LIFE * 1000) return null
  return found.returnTo === null ? { ...found, returnTo: await keptDestinationOf(services, state) } : found
}

export function forgetAttempt(req: Request, res: Response, { checks }: UpstreamAttempt): void {
  const { publicUrl } = servicesOf(req)
  res.clearCookie(nameFor(checks.state, publicUrl), cookieOptions(publicUrl))
}

function attemptsIn(req: Request): { name: string; attempt: UpstreamAttempt }[] {
  const { secrets, publicUrl } = servicesOf(req)
  const keys = secrets.map(({ upstreamAttempt }) => upstreamAttempt)
  return Object.entries(parseCookie(req.headers.cookie ?? '')).flatMap(([name, value]) => {
    if (!name.startsWith(prefixOf(publicUrl)) || value === undefined) return []
    const opened = decryptWithAny(value, purposeOf(publicUrl), keys)
    return opened === null ? [] : [{ name, attempt: JSON.parse(opened.plaintext) as UpstreamAttempt }]
  })
}

/** A portal on another port of this http host may have the same root secret. */
function purposeOf(publicUrl: string): string {
  return `upstream attempt at ${publicUrl}`
}

function nameFor(state: string, publicUrl: string): string {
  return prefixOf(publicUrl) + hash('sha256', state).slice(0, 12)
}

function prefixOf(publicUrl: string): string {
  return publicUrl.startsWith('https:') ? `__Host-${PREFIX}` : PREFIX
}

function cookieOptions(publicUrl: string): CookieOptions {
  return { httpOnly: true, sameSite: 'lax', secure: publicUrl.startsWith('https:'), path: '/' }
}
