import type { Request, Response } from 'express'
import { findInMailFolder, findMimeInMailFolder, listMailFolder } from '../../domain/accounts/mail-preview.ts'
import { contextOf } from '../context.ts'
import { englishTexts } from '../../i18n/texts.ts'
import { notFound } from '../http-errors.ts'
import { render } from '../page.ts'

const PAGE_LENGTH = 100

/** GET /dev/outbox: the mail preview, the mails that are not sent in development. */
export async function listMailPreviews(req: Request, res: Response): Promise<void> {
  const mails = await listMailFolder(outboxOf(req), PAGE_LENGTH)
  const now = contextOf(req).services.clock()
  const texts = englishTexts()
  await render(
    req,
    res,
    'mail-previews/index',
    { title: 'Outbox' },
    {
      mails: mails.map(({ name, to, subject, at }) => ({ name, to, subject, time: texts.time(at, now) })),
      pageLength: PAGE_LENGTH,
    },
  )
}

/** GET /dev/outbox/:name */
export async function showMailPreview(req: Request<{ name: string }>, res: Response): Promise<void> {
  const mail = await findInMailFolder(outboxOf(req), req.params.name)
  if (mail === null) throw notFound()
  const { name, from, to, subject, text, at } = mail
  const { publicUrl, clock } = contextOf(req).services
  await render(
    req,
    res,
    'mail-previews/show',
    { title: subject },
    { name, from, to, subject, time: englishTexts().time(at, clock()), lines: linesOf(text, publicUrl) },
  )
}

/** GET /dev/outbox/:name/eml */
export async function showMailPreviewMime(req: Request<{ name: string }>, res: Response): Promise<void> {
  const { name } = req.params
  const mime = await findMimeInMailFolder(outboxOf(req), name)
  if (mime === null) throw notFound()
  res.attachment(`${name}.eml`).type('message/rfc822').send(mime)
}

function outboxOf(req: Request): string {
  const { mailFolder } = contextOf(req)
  if (mailFolder === null) throw notFound()
  return mailFolder
}

/** A line that is just a URL of this portal becomes a link; other URLs do not. */
function linesOf(text: string, publicUrl: string): { words: string; isLink: boolean }[] {
  return text
    .trimEnd()
    .split('\n')
    .map((words) => ({ words, isLink: words.startsWith(`${publicUrl}/`) && !/\s/.test(words) }))
}
