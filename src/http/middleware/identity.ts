import type { NextFunction, Request, RequestHandler, Response } from 'express'
import { owesTerms } from '../../domain/identities/terms.ts'
import { findLivingIdentitySession, isFresh } from '../../domain/sign-in/identity-sessions.ts'
import { servicesOf, textsOf } from '../context.ts'
import { keepFields } from '../kept-fields.ts'
import { redirectWith } from '../flash-messages.ts'
import { pageOfForm, withReturnTo } from '../return-to.ts'

/** Finds the signed-in user on every page, from the database: the cookie alone proves nothing. */
export async function recognizeUser(req: Request, _res: Response, next: NextFunction): Promise<void> {
  const id = req.session.identitySessionId
  req.signedIn = id === undefined ? null : await findLivingIdentitySession(servicesOf(req), id, req.clientInfo)
  // Read where a mail is queued, because the body of the request may still say which language it is.
  const get = () => textsOf(req).language
  Object.defineProperty(req.clientInfo, 'locale', { configurable: true, enumerable: true, get })
  next()
}

/** Redirects a browser that is not signed in to the sign-in page, and from there back. */
export function requireIdentity(req: Request, res: Response, next: NextFunction): void {
  if (req.signedIn && !mustAcceptTerms(req)) return next()
  if (req.signedIn) return askToAcceptTerms(req, res)
  if (req.method !== 'GET' && req.method !== 'HEAD') return askToSignIn(req, res)
  const signInPage = `/login?return_to=${encodeURIComponent(req.originalUrl)}`
  // A browser that was signed in is told that it is not any more.
  if (req.session.identitySessionId !== undefined) return redirectWith(req, res, 'sign-in-ended', signInPage)
  res.redirect(303, signInPage)
}

/**
 * For a form whose sign-in had ended when it was sent or acted on: nothing was stored. The sign-in page says so, and leads back
 * to the page of the form, which has kept what may be kept.
 */
export function askToSignIn(req: Request, res: Response): void {
  req.signedIn = null
  keepFields(req, res)
  redirectWith(req, res, 'sign-in-over', '/login', { back: pageOfForm(req, servicesOf(req).publicUrl) })
}

/** What a user can do without accepting the terms of use: accept them, or take their data and go. */
const WITHOUT_TERMS = /^\/(?:terms|reauthentication|settings\/(?:export|deletion))\/?$/i

/** Whether the signed-in user has to accept the terms of use before this page. */
function mustAcceptTerms(req: Request): boolean {
  return Boolean(req.signedIn && owesTerms(servicesOf(req), req.signedIn)) && !WITHOUT_TERMS.test(req.path)
}

function askToAcceptTerms(req: Request, res: Response): void {
  const isPage = req.method === 'GET' || req.method === 'HEAD'
  const page = isPage ? req.originalUrl : pageOfForm(req, servicesOf(req).publicUrl)
  res.redirect(303, withReturnTo('/terms', page))
}

/**
 * Requires a recent sign-in (step-up) for changes to what protects the account, with a second factor if the account has one. A
 * user who signed in long ago, or in a trusted browser with the password alone, has to prove it again. `page` is where they come
 * back to from a form that has no page of its own.
 */
export function requireFreshSignIn(page: string): RequestHandler {
  return async (req, res, next) => {
    if (!req.signedIn || mustAcceptTerms(req)) return requireIdentity(req, res, next)
    if (await isFresh(servicesOf(req), req.signedIn)) return next()
    keepFields(req, res)
    res.redirect(
      303,
      `/reauthentication?return_to=${encodeURIComponent(req.method === 'GET' ? req.originalUrl : page)}`,
    )
  }
}
