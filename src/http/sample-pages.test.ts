import assert from 'node:assert/strict'
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { createAssets } from './assets.ts'
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
    assert.match(html, /<title>[^<]*\w[^<]* · Gatehouse<\/title>/, `${view}, ${state}`)
    assert.match(html, /<h1\b[^>]*>\s*\S/, `${view}, ${state}`)
    const text = html.replaceAll(/<(script|style)\b.*?<\/\1>/gs, '').replaceAll(/<[^>]*>/g, ' ')
    assert.doesNotMatch(text, /\b(undefined|null|NaN)\b|\[object /, `${view}, ${state}`)
    assert.doesNotMatch(html, /="(undefined|null)"|(href|action|datetime)=""/, `${view}, ${state}`)
  }
})
