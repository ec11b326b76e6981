import { randomUUID } from 'node:crypto'
import type { Request, Response } from 'express'
import { readableEmail } from '../domain/identities/emails.ts'
import { ADMIN, SUPPORT } from '../domain/identities/roles.ts'
import { appLookOf } from './app-look.ts'
import { contextOf, servicesOf, textsOf } from './context.ts'
import { takeFlash } from './flash-messages.ts'
import { formIdIn } from './middleware/repeated-forms.ts'
import { pageOfSentForm } from './return-to.ts'
import type { Page } from './templates.ts'

/** Renders a page for the user who is signed in, with the flash message for it. A form that is shown again keeps its id. */
export async function render(req: Request, res: Response, view: string, page: Page, locals: object): Promise<void> {
  // A refusal may answer a request that the browser makes by itself, and no user reads that.
  const flash = res.statusCode === 200 ? takeFlash(req, res) : null
  const texts = textsOf(req)
  const app = await appLookOf(req, view, (locals as { returnTo?: unknown }).returnTo)
  const html = await contextOf(req).templates.toString(
    view,
    {
      username: req.signedIn?.username ?? null,
      isOperator: req.signedIn?.roles.some((role) => role === ADMIN || role === SUPPORT) ?? false,
      unconfirmed: unconfirmedOf(req),
      path: pathOfPage(req),
      notice: flash && texts.say(flash.message),
      app,
      ...page,
    },
    { ...locals, formId: req.method === 'POST' ? formIdIn(req) : randomUUID() },
    texts,
  )
  // A content delivery network makes 103 Early Hints of it. The portal sends none itself: proxies mishandle them on HTTP/1.1, browsers
  // ignore them there, and the page is ready in milliseconds.
  const preload = contextOf(req).preload()
  res.setHeader('Link', preload.map((url) => `<${url}>; rel=preload; as=style`).join(', '))
  res.type('html').send(html)
}

/** Asked for on every page of a signed-in user until it is confirmed. */
function unconfirmedOf({ signedIn }: Request): string | null {
  return signedIn && !signedIn.emailVerified ? readableEmail(signedIn.email) : null
}

/** Where the language switch leads back to: this page, or the page whose form was sent. */
function pathOfPage(req: Request): string | null {
  return req.method === 'GET' ? req.originalUrl : pageOfSentForm(req, servicesOf(req).publicUrl)
}
