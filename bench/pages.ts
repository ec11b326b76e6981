import { type Browser, chromium, type Page } from '@playwright/test'
import { findChromium } from '../src/testing/services/chromium.ts'
import { makeTemporaryFolder } from '../src/testing/services/temporary-folder.ts'
import { pinCores } from './cores.ts'
import { createDatabase } from './database.ts'
import { describeMachine } from './machine.ts'
import type { Options } from './options.ts'
import { publish, say } from './output.ts'
import { describePages, type PageResult, resultOf, type Visit } from './pages/report.ts'
import { withStores } from './stores.ts'
import { startPortal } from './subjects/portal.ts'
import type { Subject } from './subjects/subject.ts'

/** The conditions of Lighthouse's mobile run: a slow 4G line and a processor that is four times slower. */
const SLOW_LINE = { offline: false, latency: 150, downloadThroughput: 204_800, uploadThroughput: 96_000 }
const SLOW_PROCESSOR = 4

const LINES = ['this machine', 'slow phone'] as const
const PATHS = ['/login', '/register', '/dashboard', '/settings']
const SCREEN = { width: 390, height: 844 }

/** Keeps the latest LCP and the sum of the CLS of a page. */
const OBSERVE = `
  globalThis.vitals = { lcp: 0, cls: 0 }
  new PerformanceObserver((list) => { for (const { startTime } of list.getEntries()) vitals.lcp = startTime })
    .observe({ type: 'largest-contentful-paint', buffered: true })
  new PerformanceObserver((list) => { for (const { value } of list.getEntries()) vitals.cls += value })
    .observe({ type: 'layout-shift', buffered: true })`

/** How heavy pages are, and how soon and still they stand: bytes on the wire, LCP and CLS. @returns the exit code */
export async function runPages(options: Options): Promise<number> {
  const cores = pinCores(options.cores ?? 'none')
  return withStores(false, async ({ postgres, server }) => {
    const database = await createDatabase(postgres.url)
    const folder = await makeTemporaryFolder('bench-pages')
    const portal = await startPortal({
      databaseUrl: database.url,
      redisUrl: null,
      folder: folder.path,
      prefix: cores.prefix,
      profileFolder: null,
      env: {},
    })
    const browser = await chromium.launch({ executablePath: await findChromium() })
    try {
      const results = await measurePages(browser, portal, options.rounds ?? (options.quick ? 3 : 9))
      const machine = describeMachine(server.words, null, cores.words)
      publish(options, { machine, results }, () => describePages(machine, results))
      return 0
    } finally {
      await browser.close()
      await portal.stop()
      await folder.remove()
      await database.drop()
    }
  })
}

async function measurePages(browser: Browser, portal: Subject, rounds: number): Promise<PageResult[]> {
  const results: PageResult[] = []
  for (const line of LINES) {
    for (const path of PATHS) {
      const visits: Visit[] = []
      for (let round = 0; round < rounds; round++) visits.push(await visitTwice(browser, portal, path, line))
      results.push(resultOf(path, line, visits))
      say(`${path}, ${line}: measured`)
    }
  }
  return results
}

/** The first visit of a browser and one with what it kept of the first. */
async function visitTwice(
  browser: Browser,
  portal: Subject,
  path: string,
  line: (typeof LINES)[number],
): Promise<Visit> {
  const context = await browser.newContext({ baseURL: portal.origin, viewport: SCREEN })
  try {
    if (path === '/dashboard' || path === '/settings') await signIn(await context.newPage(), portal)
    const page = await context.newPage()
    await page.addInitScript(OBSERVE)
    const cdp = await context.newCDPSession(page)
    await cdp.send('Network.enable')
    // What the sign-in loaded does not count as kept.
    await cdp.send('Network.clearBrowserCache')
    if (line === 'slow phone') {
      await cdp.send('Network.emulateNetworkConditions', SLOW_LINE)
      await cdp.send('Emulation.setCPUThrottlingRate', { rate: SLOW_PROCESSOR })
    }
    let bytes = 0
    cdp.on('Network.loadingFinished', ({ encodedDataLength }) => (bytes += encodedDataLength))
    const load = async () => {
      bytes = 0
      await page.goto(path, { waitUntil: 'networkidle' })
      const vitals: { lcp: number; cls: number } = await page.evaluate('globalThis.vitals')
      return { bytes, ...vitals }
    }
    return { first: await load(), later: await load() }
  } finally {
    await context.close()
  }
}

async function signIn(page: Page, portal: Subject): Promise<void> {
  const [person] = portal.people
  if (person === undefined) throw new Error('the portal has no user')
  await page.goto('/login')
  await page.getByLabel('User name or e-mail').fill(person.username)
  await page.getByLabel('Password', { exact: true }).fill(person.password)
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
  await page.waitForURL('**/dashboard')
  await page.close()
}
