import { randomUUID } from 'node:crypto'
import type { Request, Response } from 'express'
import { ADMIN } from '../../domain/identities/roles.ts'
import type { Message } from '../../i18n/messages.ts'
import { signedInOf } from '../context.ts'
import { render } from '../page.ts'
import type { AdminSection } from '../templates.ts'

/** Renders an admin page, with the navigation of its sections; `isAdmin` is false for support. */
export async function renderAdmin(
  req: Request,
  res: Response,
  view: string,
  { title, section }: { title: string; section: AdminSection },
  locals: object,
): Promise<void> {
  const isAdmin = signedInOf(req).roles.includes(ADMIN)
  await render(req, res, view, { title, nav: 'admin', admin: { section } }, { ...locals, isAdmin })
}

/** A question before a change: what will happen, and the button that does it. */
export interface Question {
  title: string
  /** What happens to whom, a line each. */
  lines: (string | Message)[]
  /** Where the form is sent. */
  action: string
  button: string
  /** Whether the button warns. */
  isDangerous?: boolean
  /** Hidden fields. */
  fields?: Record<string, string>
  backHref: string
}

/** Asks before a change. The form works without a script. */
export async function ask(req: Request, res: Response, section: AdminSection, question: Question): Promise<void> {
  const { isDangerous = true, fields = {} } = question
  await renderAdmin(
    req,
    res,
    'admin/question',
    { title: question.title, section },
    { ...question, isDangerous, fields, formId: randomUUID() },
  )
}
