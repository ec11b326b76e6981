import type { Request, Response } from 'express'
import { findInOutbox, findMimeInOutbox, listOutbox } from '../../domain/accounts/mail-preview.ts'
import { contextOf } from '../context.ts'
import { notFound } from '../http-errors.ts'
import { render } from '../page.ts'
import { timeInWords } from '../../domain/time-words.ts'

const PAGE_LENGTH = 100

/** GET /dev/outbox */
export async function listOutboxMails(req: Request, res: Response): Promise<void> {
  const mails = await listOutbox(outboxOf(req), PAGE_LENGTH)
  const now = contextOf(req).portal.clock()
  await render(
    req,
    res,
    'outbox/index',
    { title: 'Outbox' },
    {
      mails: mails.map(({ name, to, subject, at }) => ({ name, to, subject, time: timeInWords(at, now) })),
      pageLength: PAGE_LENGTH,
    },
  )
}

/** GET /dev/outbox/:name */
export async function showOutboxMail(req: Request<{ name: string }>, res: Response): Promise<void> {
  const mail = await findInOutbox(outboxOf(req), req.params.name)
  if (mail === null) throw notFound()
  const { name, from, to, subject, text, at } = mail
  const { publicUrl, clock } = contextOf(req).portal
  await render(
    req,
    res,
    'outbox/show',
    { title: subject },
    { name, from, to, subject, time: timeInWords(at, clock()), lines: linesOf(text, publicUrl) },
  )
}

/** GET /dev/outbox/:name/eml */
export async function showOutboxMime(req: Request<{ name: string }>, res: Response): Promise<void> {
  const { name } = req.params
  const mime = await findMimeInOutbox(outboxOf(req), name)
  if (mime === null) throw notFound()
  res.attachment(`${name}.eml`).type('message/rfc822').send(mime)
}

function outboxOf(req: Request): string {
  const { outbox } = contextOf(req)
  if (outbox === null) throw notFound()
  return outbox
}

/** A line that is nothing but an address of this portal is a link; what else a mail says is not. */
function linesOf(text: string, publicUrl: string): { words: string; isLink: boolean }[] {
  return text
    .trimEnd()
    .split('\n')
    .map((words) => ({ words, isLink: words.startsWith(`${publicUrl}/`) && !/\s/.test(words) }))
}
