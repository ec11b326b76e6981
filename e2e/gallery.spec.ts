import { join } from 'node:path'
import { SAMPLE_PAGES } from '../src/http/sample-pages.ts'
import { expect, test } from './demo.ts'

const WIDTHS = [1280, 390, 320]
/** Colours have no width: what fits in light fits in dark. */
const WIDTHS_CHECKED = { light: WIDTHS, dark: [390] }

/** A folder for a screenshot of every page at every width, for people to look at. */
const { GALLERY_SCREENSHOTS } = process.env

// Pages may not be framed, and run no scripts of others.
test.use({ bypassCSP: true })

for (const colorScheme of ['light', 'dark'] as const) {
  test(`every page of the gallery fits and names its parts, ${colorScheme}`, async ({ page, demo }) => {
    await page.emulateMedia({ colorScheme })
    await page.goto(`${demo.portal}/dev/pages`)
    const links = await page.getByRole('listitem').getByRole('link').all()
    expect(links).toHaveLength(SAMPLE_PAGES.length)
    const urls = await Promise.all(links.map((link) => link.getAttribute('href')))

    await page.addScriptTag({ path: join(import.meta.dirname, 'browser/gallery-checks.js') })
    expect(
      await page.evaluate(`checkPages(${JSON.stringify(urls)}, ${JSON.stringify(WIDTHS_CHECKED[colorScheme])})`),
    ).toEqual([])

    if (GALLERY_SCREENSHOTS === undefined) return
    for (const url of urls) {
      await page.goto(demo.portal + url)
      for (const width of WIDTHS) {
        await page.setViewportSize({ width, height: 900 })
        const name = `${url}-${width}-${colorScheme}.png`.replaceAll(/[^\w.-]+/g, '-')
        await page.screenshot({ path: join(GALLERY_SCREENSHOTS, name), fullPage: true })
      }
    }
  })
}
