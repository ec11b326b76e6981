import { createHash } from 'node:crypto'
import type { Request, Response } from 'express'
import { composeSampleMail, listSampleMails } from '../../domain/accounts/mail-preview.ts'
import { LANGUAGES, nameOfLanguage } from '../../i18n/catalogues.ts'
import { contextOf, servicesOf } from '../context.ts'
import { notFound } from '../http-errors.ts'
import { render } from '../page.ts'

/** GET /dev/mails: every mail that the portal sends, with sample data, in the language of `language`. */
export async function listMailSamples(req: Request, res: Response): Promise<void> {
  const language = languageOf(req)
  const mails = listSampleMails(servicesOf(req), language)
  await render(
    req,
    res,
    'sample-mails/index',
    { title: 'Mails' },
    { language, languages: languagesFor('/dev/mails'), mails },
  )
}

/** GET /dev/mails/:kind: its text, and a link to its HTML. */
export async function showMailSample(req: Request<{ kind: string }>, res: Response): Promise<void> {
  const language = languageOf(req)
  const { kind, subject, text } = await sampleOf(req, language)
  const languages = languagesFor(`/dev/mails/${kind}`)
  await render(req, res, 'sample-mails/show', { title: subject }, { kind, subject, text, language, languages })
}

/** GET /dev/mails/:kind/html: the HTML as a mail program shows it. The styles in it are allowed by their hash. */
export async function showMailSampleHtml(req: Request<{ kind: string }>, res: Response): Promise<void> {
  const { html, logo } = await sampleOf(req, languageOf(req))
  const [, styles = ''] = /<style>([\s\S]*)<\/style>/.exec(html) ?? []
  const hash = createHash('sha256').update(styles).digest('base64')
  res.setHeader(
    'Content-Security-Policy',
    `default-src 'none'; style-src 'sha256-${hash}'; img-src data:; frame-ancestors 'none'`,
  )
  const image = logo === null ? '' : `data:image/png;base64,${logo.toString('base64')}`
  res.type('html').send(html.replace('src="cid:logo"', `src="${image}"`))
}

async function sampleOf(req: Request<{ kind: string }>, language: string) {
  const sample = await composeSampleMail(servicesOf(req), language, req.params.kind)
  if (sample === null) throw notFound()
  return sample
}

/** These pages exist where the mail preview does. */
function languageOf(req: Request<object>): string {
  if (contextOf(req as Request).mailFolder === null) throw notFound()
  const { language } = req.query
  return LANGUAGES.find((each) => each === language) ?? (LANGUAGES[0] as string)
}

function languagesFor(path: string): { language: string; name: string; href: string }[] {
  return LANGUAGES.map((language) => ({
    language,
    name: nameOfLanguage(language),
    href: `${path}?language=${language}`,
  }))
}
