import type { NextFunction, Request, RequestHandler, Response } from 'express'
import { findLivingIdentitySession } from '../../domain/sign-in/identity-sessions.ts'
import { servicesOf } from '../context.ts'
import { redirectWith } from '../flash-messages.ts'
import { pageOfForm } from '../return-to.ts'

/** Finds out who is signed in, from the row, on every page: the cookie alone proves nothing. */
export async function findIdentity(req: Request, _res: Response, next: NextFunction): Promise<void> {
  const id = req.session.identitySessionId
  req.signedIn = id === undefined ? null : await findLivingIdentitySession(servicesOf(req), id, req.clientInfo)
  next()
}

/** Sends strangers to the sign-in page, and from there back to where they were going. */
export function requireIdentity(req: Request, res: Response, next: NextFunction): void {
  if (req.signedIn) return next()
  if (req.method !== 'GET' && req.method !== 'HEAD') return askToSignIn(req, res)
  res.redirect(303, `/login?return_to=${encodeURIComponent(req.originalUrl)}`)
}

/**
 * For a form whose sign-in was over when it was sent, or when it was to be acted on: nothing was stored. The sign-in page says
 * so, and leads back to the page of the form.
 */
export function askToSignIn(req: Request, res: Response): void {
  req.signedIn = null
  redirectWith(req, res, 'sign-in-over', '/login', pageOfForm(req, servicesOf(req).publicUrl))
}

/**
 * For what protects the account: lets through whoever has proved who they are a short while ago, and asks everybody else
 * to do it again. `page` is where they come back to, since what they sent is not kept.
 */
export function requireFreshSignIn(page: string): RequestHandler {
  return (req, res, next) => {
    if (!req.signedIn) return requireIdentity(req, res, next)
    const { clock, lifetimes } = servicesOf(req)
    const age = (clock().getTime() - req.signedIn.createdAt.getTime()) / 1000
    if (age <= lifetimes.freshSignIn) return next()
    res.redirect(
      303,
      `/reauthentication?return_to=${encodeURIComponent(req.method === 'GET' ? req.originalUrl : page)}`,
    )
  }
}
