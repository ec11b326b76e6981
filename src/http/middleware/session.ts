import type { IncomingMessage } from 'node:http'
import { parseCookie } from 'cookie'
import { unsign } from 'cookie-signature'
import type { Request, RequestHandler, Response } from 'express'
import session, { type Store } from 'express-session'
import type { Proof } from '../../domain/sign-in/identity-sessions.ts'
import type { Services } from '../../domain/services.ts'
import { servicesOf } from '../context.ts'
import { canMakePasskeys } from '../passkey-offers.ts'

declare module 'express-session' {
  interface SessionData {
    identitySessionId: string
    pending?: PendingSignIn
  }
}

/** What a pending sign-in lacks: a second factor, or the user's decision to keep a deleted account. */
export type Lack = 'second-factor' | 'restoration'

/** A pending sign-in. It allows nothing but the missing step, and expires soon. */
export interface PendingSignIn {
  proof: Proof
  lacks: Lack
  /** Whether the device of this browser can make passkeys, as the form of the first step said. */
  canMakePasskeys?: boolean
  /** Milliseconds since 1970. */
  since: number
}

const PENDING_LIFE_MS = 600_000

/** The identity cookie. A browser gets one when it signs in, and keeps it until the longest life of the session is over. */
export function identityCookie(services: Services, store: Store): RequestHandler {
  const isHttps = services.publicUrl.startsWith('https:')
  return session({
    name: identityCookieName(services),
    secret: services.secrets.map((keys) => keys.cookies),
    store,
    resave: false,
    saveUninitialized: false,
    cookie: {
      httpOnly: true,
      sameSite: 'lax',
      secure: isHttps,
      path: '/',
      maxAge: services.lifetimes.identitySessionMax * 1000,
    },
  })
}

/**
 * Reads the session as express-session would, for a request that needs no session of its own. Null when the cookie names none.
 */
export async function findIdentitySessionId(
  services: Services,
  store: Store,
  req: IncomingMessage,
): Promise<string | null> {
  const cookie = parseCookie(req.headers.cookie ?? '')[identityCookieName(services)]
  if (cookie?.startsWith('s:') !== true) return null
  const id = services.secrets.map((keys) => unsign(cookie.slice(2), keys.cookies)).find((each) => each !== false)
  if (id === undefined) return null
  let found: session.SessionData | null | undefined
  await promised((done) =>
    store.get(id, (error: Error | null, data) => {
      found = data
      done(error)
    }),
  )
  return found?.identitySessionId ?? null
}

/**
 * Starts the session of a user who has just signed in, with a new identifier (session fixation), stored before the response is
 * sent.
 */
export async function startSession(req: Request, identitySessionId: string): Promise<void> {
  await promised((done) => req.session.regenerate(done))
  req.session.identitySessionId = identitySessionId
  await promised((done) => req.session.save(done))
}

/** Stores a pending sign-in. A user already signed in in this browser stays signed in. */
export async function startPendingSignIn(req: Request, proof: Proof, lacks: Lack = 'second-factor'): Promise<void> {
  const { identitySessionId } = req.session
  const mayOffer = canMakePasskeys(req)
  // A user who signs in again (step-up) keeps this session.
  const base = req.signedIn?.identityId === proof.identityId ? { identitySessionId: req.signedIn.id } : {}
  await promised((done) => req.session.regenerate(done))
  if (identitySessionId !== undefined) req.session.identitySessionId = identitySessionId
  req.session.pending = {
    proof: { ...proof, ...base },
    lacks,
    canMakePasskeys: mayOffer,
    since: servicesOf(req).clock().getTime(),
  }
  await promised((done) => req.session.save(done))
}

/** Null when no sign-in is pending for this step in this browser, it has expired, or the session it belongs to is over. */
export function pendingSignInOf(req: Request, lack: Lack = 'second-factor'): PendingSignIn | null {
  const { pending } = req.session
  if (pending === undefined || pending.lacks !== lack) return null
  const { identitySessionId: base } = pending.proof
  if (base !== undefined && base !== req.signedIn?.id) return null
  return servicesOf(req).clock().getTime() - pending.since < PENDING_LIFE_MS ? pending : null
}

/** Deletes the session, in the store and in the browser. */
export async function destroySession(req: Request, res: Response): Promise<void> {
  await promised((done) => req.session.destroy(done))
  const services = servicesOf(req)
  res.clearCookie(identityCookieName(services), {
    httpOnly: true,
    sameSite: 'lax',
    secure: services.publicUrl.startsWith('https:'),
    path: '/',
  })
}

/** The name of the identity cookie. */
export function identityCookieName(services: Services): string {
  return services.publicUrl.startsWith('https:') ? '__Host-identity' : 'identity'
}

function promised(call: (done: (error?: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => call((error) => (error ? reject(error) : resolve())))
}
