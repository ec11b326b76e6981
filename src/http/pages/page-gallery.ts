import type { Request, Response } from 'express'
import { contextOf } from '../context.ts'
import { notFound } from '../http-errors.ts'
import { render } from '../page.ts'
import { SAMPLE_PAGES, type SamplePage } from '../sample-pages.ts'

/** GET /dev/pages: every view in every state. */
export async function listSamplePages(req: Request, res: Response): Promise<void> {
  requireGallery(req)
  const pages = SAMPLE_PAGES.map((sample) => ({ words: `${sample.view}, ${sample.state}`, href: hrefOf(sample) }))
  await render(req, res, 'page-gallery/index', { title: 'Pages' }, { pages })
}

/** GET /dev/pages/show?view=…&state=… */
export async function showSamplePage(req: Request, res: Response): Promise<void> {
  requireGallery(req)
  const { view, state } = req.query
  const sample = SAMPLE_PAGES.find((each) => each.view === view && each.state === state)
  if (sample === undefined) throw notFound()
  res.type('html').send(await contextOf(req).templates.toString(sample.view, sample.page, sample.locals))
}

function hrefOf({ view, state }: SamplePage): string {
  return `/dev/pages/show?${new URLSearchParams({ view, state }).toString()}`
}

/** It exists where the mail preview exists: in development, on loopback. */
function requireGallery(req: Request): void {
  if (contextOf(req).mailFolder === null) throw notFound()
}
