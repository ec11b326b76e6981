import type { Request, Response } from 'express'
import { contextOf, textsOf } from '../context.ts'
import { notFound } from '../http-errors.ts'
import { render } from '../page.ts'
import type { SamplePage } from '../sample-page.ts'

/** GET /dev/pages: every view in every state. */
export async function listSamplePages(req: Request, res: Response): Promise<void> {
  const { SAMPLE_PAGES } = await loadSamplePages(req)
  const pages = SAMPLE_PAGES.map((sample) => ({ words: `${sample.view}, ${sample.state}`, href: hrefOf(sample) }))
  await render(req, res, 'page-gallery/index', { title: 'Pages' }, { pages })
}

/** GET /dev/pages/show?view=…&state=… */
export async function showSamplePage(req: Request, res: Response): Promise<void> {
  const { SAMPLE_PAGES, sayIn } = await loadSamplePages(req)
  const { view, state } = req.query
  const sample = SAMPLE_PAGES.find((each) => each.view === view && each.state === state)
  if (sample === undefined) throw notFound()
  const texts = textsOf(req)
  const { page, locals } = sayIn(texts, sample)
  res
    .type('html')
    .send(await contextOf(req).templates.toString(sample.view, { path: req.originalUrl, ...page }, locals, texts))
}

function hrefOf({ view, state }: SamplePage): string {
  return `/dev/pages/show?${new URLSearchParams({ view, state }).toString()}`
}

/** The gallery exists where the mail preview exists: in development, on loopback. */
async function loadSamplePages(req: Request): Promise<typeof import('../sample-pages.ts')> {
  if (contextOf(req).mailFolder === null) throw notFound()
  // Loaded lazily: production shows none of them.
  return import('../sample-pages.ts')
}
