import { randomUUID } from 'node:crypto'
import type { Request, Response } from 'express'
import { contextOf } from './context.ts'
import { formIdIn } from './middleware/repeated-forms.ts'
import type { Page } from './templates.ts'

/** Renders a page for the user who is signed in. A form that is shown again keeps its id. */
export async function render(req: Request, res: Response, view: string, page: Page, locals: object): Promise<void> {
  const html = await contextOf(req).templates.toString(
    view,
    { username: req.signedIn?.username ?? null, ...page },
    { ...locals, formId: req.method === 'POST' ? formIdIn(req) : randomUUID() },
  )
  res.type('html').send(html)
}
