import type { NextFunction, Request, Response } from 'express'
import { findLivingIdentitySession } from '../../domain/identity-sessions.ts'
import { portalOf } from '../context.ts'

/** Finds out who is signed in, from the row, on every page: the cookie alone proves nothing. */
export async function findIdentity(req: Request, _res: Response, next: NextFunction): Promise<void> {
  const id = req.session.identitySessionId
  req.signedIn = id === undefined ? null : await findLivingIdentitySession(portalOf(req), id, req.place)
  next()
}

/** Sends strangers to the sign-in page, and from there back to where they were going. */
export function requireIdentity(req: Request, res: Response, next: NextFunction): void {
  if (req.signedIn) return next()
  const returnTo = req.method === 'GET' ? `?return_to=${encodeURIComponent(req.originalUrl)}` : ''
  res.redirect(303, `/login${returnTo}`)
}
