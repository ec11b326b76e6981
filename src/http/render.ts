import type { Request, Response } from 'express'
import { contextOf } from './context.ts'
import type { Page } from './renderer.ts'

/** Answers with a page, for whoever is signed in. */
export async function render(req: Request, res: Response, view: string, page: Page, locals: object): Promise<void> {
  const html = await contextOf(req).renderer.toString(
    view,
    { username: req.signedIn?.username ?? null, ...page },
    locals,
  )
  res.type('html').send(html)
}
