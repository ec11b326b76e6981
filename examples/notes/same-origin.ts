import type { NextFunction, Request, Response } from 'express'
import { problemPage } from './pages.ts'
import { settings } from './settings.ts'

/** CSRF protection: refuses state-changing requests that no page of Notes sent. */
export function requireSameOrigin(req: Request, res: Response, next: NextFunction) {
  const site = req.get('Sec-Fetch-Site')
  const isOwn = site ? site === 'same-origin' : req.get('Origin') === settings.origin
  if (isOwn) return next()

  res.status(403).send(problemPage('This request was refused', 'It came from another site.'))
}
