import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { Page } from '@playwright/test'
import { SAMPLE_PAGES } from '../src/http/sample-pages.ts'
import { type Demo, expect, test } from './demo.ts'

const WIDTHS = [1280, 390, 320]
/** From right to left, and English that is 40 % longer. */
const LOCALES = { ar: 'in Arabic', 'en-XA': 'with longer words' }
/** How many tests divide the pages among them. */
const PARTS = 4

/** A folder for a screenshot of every page at every width, for people to look at. */
const { GALLERY_SCREENSHOTS } = process.env

// Pages may not be framed, and run no scripts of others.
test.use({ bypassCSP: true })

// Several tests, so that no core waits for one at the end.
test.describe.configure({ mode: 'parallel' })

for (let part = 1; part <= PARTS; part++) {
  test(`every page fits every screen, names its parts, and has no fault that axe finds (${part} of ${PARTS})`, async ({
    page,
    demo,
  }) => {
    test.slow()
    await page.addInitScript({ path: createRequire(import.meta.url).resolve('axe-core/axe.min.js') })
    const samples = (await openGallery(page, demo)).filter((_, index) => index % PARTS === part - 1)
    expect(await listFaults(page, samples, 'listFaults()')).toEqual({})
    // Colours have no width: what fits in light fits in dark.
    await page.emulateMedia({ colorScheme: 'dark' })
    expect(await listFaults(page, samples, 'listColorFaults()')).toEqual({})
  })
}

for (const [locale, words] of Object.entries(LOCALES)) {
  test(`every page of the gallery fits every screen ${words}`, async ({ page, demo }) => {
    test.slow()
    const samples = (await openGallery(page, demo)).map((url) => `${url}&locale=${locale}`)
    expect(await listFaults(page, samples, 'listMisfitsAtAllWidths()')).toEqual({})
  })
}

if (GALLERY_SCREENSHOTS !== undefined) {
  test('pictures of every page of the gallery', async ({ page, demo }) => {
    test.setTimeout(10 * 60_000)
    for (const url of await openGallery(page, demo)) {
      for (const locale of ['en', ...Object.keys(LOCALES)]) await takePictures(page, `${url}&locale=${locale}`)
    }
  })
}

/** @returns the URL of every sample */
async function openGallery(page: Page, demo: Demo): Promise<string[]> {
  await page.goto(`${demo.portal}/dev/pages`)
  const links = page.getByRole('listitem').getByRole('link', { name: ', ' })
  await expect(links).toHaveCount(SAMPLE_PAGES.length)
  await page.addScriptTag({ path: join(import.meta.dirname, 'browser/gallery-checks.js') })
  return links.evaluateAll((all) => all.map((link) => link.href))
}

/** Each fault once, with the pages, widths and readings that have it. */
async function listFaults(page: Page, urls: string[], check: string): Promise<object> {
  const faults: Record<string, string[]> = {}
  for (const url of urls) {
    const found = (await page.evaluate(`openSample(${JSON.stringify(url)}).then(() => ${check})`)) as [string, string][]
    for (const [where, fault] of found) (faults[fault] ??= []).push(`${new URL(url).search} ${where}`)
  }
  return faults
}

async function takePictures(page: Page, url: string) {
  await page.goto(url)
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme })
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: 900 })
      const name = `${new URL(url).search}-${width}-${colorScheme}.png`.replaceAll(/[^\w.-]+/g, '-')
      await page.screenshot({ path: join(GALLERY_SCREENSHOTS ?? '', name), fullPage: true })
    }
  }
}
