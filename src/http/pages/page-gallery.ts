import type { Request, Response } from 'express'
import { contextOf } from '../context.ts'
import { notFound } from '../http-errors.ts'
import { render } from '../page.ts'
import type { SamplePage } from '../sample-pages.ts'

/** GET /dev/pages: every view in every state. */
export async function listSamplePages(req: Request, res: Response): Promise<void> {
  const samples = await loadSamplePages(req)
  const pages = samples.map((sample) => ({ words: `${sample.view}, ${sample.state}`, href: hrefOf(sample) }))
  await render(req, res, 'page-gallery/index', { title: 'Pages' }, { pages })
}

/** GET /dev/pages/show?view=…&state=… */
export async function showSamplePage(req: Request, res: Response): Promise<void> {
  const samples = await loadSamplePages(req)
  const { view, state } = req.query
  const sample = samples.find((each) => each.view === view && each.state === state)
  if (sample === undefined) throw notFound()
  res.type('html').send(await contextOf(req).templates.toString(sample.view, sample.page, sample.locals))
}

function hrefOf({ view, state }: SamplePage): string {
  return `/dev/pages/show?${new URLSearchParams({ view, state }).toString()}`
}

/** The gallery exists where the mail preview exists: in development, on loopback. */
async function loadSamplePages(req: Request): Promise<SamplePage[]> {
  if (contextOf(req).mailFolder === null) throw notFound()
  // Loaded lazily: production shows none of them.
  const { SAMPLE_PAGES } = await import('../sample-pages.ts')
  return SAMPLE_PAGES
}
