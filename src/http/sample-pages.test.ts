import assert from 'node:assert/strict'
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { createAssets } from './assets.ts'
import { PRODUCT } from './brand.ts'
import { textsFor } from '../i18n/texts.ts'
import { SAMPLE_PAGES, sayIn } from './sample-pages.ts'
import { createTemplates } from './templates.ts'

const VIEWS = join(import.meta.dirname, '../../views')

test('every view is in the gallery, and each state once', () => {
  const views = globSync('**/*.ejs', { cwd: VIEWS })
    .map((file) => file.replace(/\.ejs$/, ''))
    // What other views include, the layout around all, and mails.
    .filter((view) => !/(^|\/)_|^partials\/|^layout$|^mail\//.test(view))
  assert.deepEqual([...new Set(SAMPLE_PAGES.map(({ view }) => view))].toSorted(), views.toSorted())
  assert.equal(new Set(SAMPLE_PAGES.map(({ view, state }) => `${view} ${state}`)).size, SAMPLE_PAGES.length)
})

test('every sample has a title, a heading and no missing text', async () => {
  const templates = createTemplates(await createAssets(false), { isLive: false })
  const texts = textsFor('en', { organisation: 'Gatehouse' })
  for (const sample of SAMPLE_PAGES) {
    const { view, state } = sample
    const { page, locals } = sayIn(texts, sample)
    const html = await templates.toString(view, page, locals, texts)
    assert.match(html, /<title>[^<]*[\p{L}\p{N}][^<]* · Gatehouse<\/title>/u, `${view}, ${state}`)
    assert.match(html, /<h1\b[^>]*>\s*\S/, `${view}, ${state}`)
    const text = html.replaceAll(/<(script|style)\b.*?<\/\1>/gs, '').replaceAll(/<[^>]*>/g, ' ')
    assert.doesNotMatch(text, /\b(undefined|null|NaN)\b|\[object /, `${view}, ${state}`)
    assert.doesNotMatch(html, /="(undefined|null)"|(href|action|datetime)=""/, `${view}, ${state}`)
  }
})

/** A mail leads there, and only its button leads on. */
const FROM_MAILS = ['mail-sign-ins/confirm', 'password-resets/new', 'email-verifications/new', 'reported-sign-ins/new']

test('the summary of a form that was not accepted has a title', async () => {
  const templates = createTemplates(await createAssets(false), { isLive: false })
  const texts = textsFor('en', { organisation: 'Gatehouse' })
  const without: string[] = []
  for (const sample of SAMPLE_PAGES) {
    const { page, locals } = sayIn(texts, sample)
    const html = await templates.toString(sample.view, page, locals, texts)
    if (/<div class="error-summary"[^>]*>(?!\s*<p class="error-summary-title">)/.test(html))
      without.push(`${sample.view}, ${sample.state}`)
  }
  assert.deepEqual(without, [])
})

test('every narrow page leads on or back, besides the name of the portal at its top', async () => {
  const templates = createTemplates(await createAssets(false), { isLive: false })
  const texts = textsFor('en', { organisation: 'Gatehouse' })
  const stuck: string[] = []
  for (const sample of SAMPLE_PAGES.filter(({ view, page }) => page.narrow === true && !FROM_MAILS.includes(view))) {
    const { page, locals } = sayIn(texts, sample)
    const html = await templates.toString(sample.view, page, locals, texts)
    const [, main = ''] = html.split('<main')
    const leadsOn = /<a [^>]*href="(\/|https?:)|<form [^>]*action="\/(interaction|verify-email)\b/.test(main)
    if (!leadsOn) stuck.push(`${sample.view}, ${sample.state}`)
  }
  assert.deepEqual(stuck, [])
})

test('a narrow page of a signed-in user keeps the navigation, and that of a stranger has none', async () => {
  const templates = createTemplates(await createAssets(false), { isLive: false })
  const texts = textsFor('en', { organisation: 'Gatehouse' })
  const show = (username: string | null) =>
    templates.toString('signed-out', { title: 'A page', narrow: true, username }, {}, texts)
  const links = ['/dashboard', '/sessions', '/activity', '/settings'].map((href) => `<a href="${href}"`)
  const [own, foreign] = [await show('ada'), await show(null)]
  for (const link of links) {
    assert.ok(own.includes(link), link)
    assert.ok(!foreign.includes(link), link)
  }
})

/** Tools of development. */
const NAMES_THE_PRODUCT = /^(?:mail-previews|page-gallery)\//

test('a page names the organisation, and not the product', async () => {
  const name = 'Example Ltd'
  const templates = createTemplates(await createAssets(false), { isLive: false, brand: { ...PRODUCT, name } })
  const texts = textsFor('en', { organisation: name })
  for (const sample of SAMPLE_PAGES.filter(({ view }) => !NAMES_THE_PRODUCT.test(view))) {
    const { page, locals } = sayIn(texts, sample)
    const html = await templates.toString(sample.view, page, locals, texts)
    assert.doesNotMatch(html, /Gatehouse/, `${sample.view}, ${sample.state}`)
  }
})
