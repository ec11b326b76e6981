import type { ServerResponse } from 'node:http'
import type { NextFunction, Request, Response } from 'express'
import { leadsToApp } from '../return-to.ts'

/**
 * An app may run its sign-in in a popup that answers `window.opener`. Browsers cut that link for good at the first response, a
 * redirect included, whose Cross-Origin-Opener-Policy differs from the opener's. So every page on the way to an app omits the
 * header. All other pages keep `same-origin`.
 */
export function keepOpenerOnPath(res: ServerResponse, path: string): void {
  if (leadsToApp(path)) keepOpener(res)
}

/** The same for pages that lead on to an app when they are done. It comes after the parser of forms. */
export function keepOpenerOnWay(req: Request, res: Response, next: NextFunction): void {
  const { return_to: returnTo } = { ...(req.body as Record<string, unknown> | undefined), ...req.query }
  if (typeof returnTo === 'string' && leadsToApp(returnTo)) keepOpener(res)
  next()
}

function keepOpener(res: ServerResponse): void {
  res.setHeader('Cross-Origin-Opener-Policy', 'unsafe-none')
}
