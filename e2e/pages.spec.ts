import type { Page } from '@playwright/test'
import { codeOf } from '../src/testing/portal/totp.ts'
import { type Demo, expect, type Person, test } from './demo.ts'
import {
  connect,
  connectSilently,
  expectNoSignIn,
  fillSignIn,
  FIREFOX_ON_WINDOWS,
  followMail,
  openBrowser,
  openEnded,
  openForm,
  openMail,
  removeApp,
} from './steps.ts'

interface Visit {
  page: Page
  demo: Demo
  person: Person
}

type Pages = Record<string, (visit: Visit) => Promise<unknown>>

/** Every page for a browser that is not signed in, by its heading. */
const pagesForStrangers: Pages = {
  'Sign in': ({ page }) => page.goto('/login'),
  'Sign in, on the way to an app': ({ page, demo }) => openForm(page, demo.notes),
  'Sign in, after a wrong password': async ({ page, person }) => {
    await page.goto('/login')
    await fillSignIn(page, { ...person, password: 'not the one I use' })
  },
  'Create an account': ({ page }) => page.goto('/register'),
  'Create an account, with everything to correct': async ({ page }) => {
    await page.goto('/register')
    await page.getByLabel('Password', { exact: true }).fill('too short')
    await page.getByLabel('Password again').fill('too short')
    await page.getByRole('button', { name: 'Create account' }).click()
    await expect(page.getByRole('alert')).toBeVisible()
  },
  'Forgotten your password?': ({ page }) => page.goto('/forgot-password'),
  'Forgotten your password?, with an address to correct': async ({ page }) => {
    await page.goto('/forgot-password')
    await page.getByLabel('E-mail').fill('not an address')
    await page.getByRole('button', { name: 'Send the link' }).click()
    await expect(page.getByRole('alert')).toBeVisible()
  },
  'Check your e-mail': async ({ page, person }) => {
    await page.goto('/forgot-password')
    await page.getByLabel('E-mail').fill(person.email)
    await page.getByRole('button', { name: 'Send the link' }).click()
  },
  'Choose a new password': ({ page, person }) => followMail(page, 'Choose a new Gatehouse password', person.email),
  'This link does not work': ({ page }) => page.goto('/reset-password/long-gone'),
  'This link does not work, to confirm an address': ({ page }) => page.goto('/verify-email/long-gone'),
  'Page not found': ({ page }) => page.goto('/no/such/page'),
  'This sign-in cannot go on, from nowhere': ({ page }) => page.goto('/interaction/long-gone'),
  'This sign-in cannot go on, from Notes': async ({ page, demo }) => {
    await openForm(page, demo.notes)
    await page.context().clearCookies({ domain: 'localhost' })
    await page.reload()
  },
  'This app is not known here': ({ page }) => page.goto('/oauth/authorize?client_id=nobody&response_type=code'),
  'This app’s sign-in link is not set up correctly': ({ page }) =>
    page.goto('/oauth/authorize?client_id=notes&response_type=code&redirect_uri=https://elsewhere.test/'),
  'You are signed out': ({ page }) => page.goto('/oauth/logout/success'),
}

/** Every page for a signed-in user. */
const pagesForPeople: Pages = {
  'Your apps': ({ page }) => page.goto('/dashboard'),
  'Your apps, with what has ended': async ({ page }) => {
    await page.goto('/dashboard')
    await page.getByRole('button', { name: /^Sign out of Notes in Firefox/ }).click()
    await openEnded(page, 'Notes', 1)
  },
  'Sign-in to Notes': ({ page }) => page.getByRole('link', { name: /^Details of this ended sign-in to Notes/ }).click(),
  'Remove Notes?': ({ page }) => page.goto('/apps/notes/disconnection'),
  'Your browsers': ({ page }) => page.goto('/sessions'),
  'Firefox on Windows': ({ page }) => page.getByRole('link', { name: /^Details of Firefox/ }).click(),
  Settings: ({ page }) => page.goto('/settings'),
  Profile: ({ page }) => page.goto('/settings/profile'),
  'Change your password': ({ page }) => page.goto('/settings/password'),
  'Change your e-mail address': ({ page }) => page.goto('/settings/email'),
  'Settings, with an address to confirm': async ({ page, person }) => {
    await page.goto('/settings/email')
    await page.getByLabel('New e-mail address').fill(`a-much-longer-address-than-before-${person.email}`)
    await page.getByRole('button', { name: 'Send a link to the new address' }).click()
    await expect(page.getByRole('button', { name: /^Keep the old one/ })).toBeVisible()
  },
  'Confirm your e-mail address': ({ page }) => page.goto('/verify-email'),
  'Confirm your e-mail address, with the link': ({ page, person }) =>
    followMail(page, 'Confirm your address for Gatehouse', person.email),
  Activity: ({ page }) => page.goto('/activity'),
  Outbox: ({ page }) => page.goto('/dev/outbox'),
  'Confirm your new address, in the outbox': ({ page, person }) =>
    openMail(page, 'Confirm your new address for Gatehouse', `a-much-longer-address-than-before-${person.email}`),
  'Download your data': ({ page }) => page.goto('/settings/export'),
  'Delete your account': ({ page }) => page.goto('/settings/deletion'),
  'Confirm that it is you': ({ page }) => page.goto('/reauthentication'),
  'Sign out?': ({ page }) => page.goto('/logout'),
  'Sign out?, asked by an app': ({ page, demo }) =>
    page.goto(`/oauth/logout?client_id=notes&post_logout_redirect_uri=${encodeURIComponent(demo.notes)}`),
  'Page not found': ({ page }) => page.goto('/no/such/page'),
  'Sign-in methods, none yet': ({ page }) => page.goto('/settings/second-factors'),
  'Add a passkey': ({ page }) => page.goto('/settings/second-factors/passkey/new'),
  'Add an authenticator app, with everything to correct': async ({ page }) => {
    await page.goto('/settings/second-factors/totp/new')
    await page.getByLabel('Code').fill('000000')
    await page.getByRole('button', { name: 'Add this app' }).click()
    await expect(page.getByRole('alert')).toBeVisible()
  },
  'Your recovery codes': async ({ page }) => {
    const key = (await page.locator('code.key').textContent()) ?? ''
    await page.getByLabel('Code').fill(codeOf(key, new Date()))
    await page.getByRole('button', { name: 'Add this app' }).click()
  },
  'Sign-in methods': ({ page }) => page.goto('/settings/second-factors'),
  'Make new recovery codes': ({ page }) => page.goto('/settings/second-factors/recovery-codes/new'),
  'Authenticator app': async ({ page }) => {
    await page.goto('/settings/second-factors')
    await page.getByRole('link', { name: 'Change Authenticator app' }).click()
  },
  'Your apps, none left': async ({ page }) => {
    await page.goto('/dashboard')
    for (const app of ['Notes', 'Photos']) {
      await removeApp(page, app)
      await expectNoSignIn(page, app)
    }
  },
}

/** The gallery tries each view at more widths and readings; here each page has what real accounts and apps put into it. */
const looks = [
  { colorScheme: 'light', width: 1280 },
  { colorScheme: 'dark', width: 320 },
] as const

const SPACING = `* { line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important }
  p { margin-bottom: 2em !important }`

/** How users with low vision read: more text spacing (WCAG 1.4.12) at 400 % zoom (1.4.10), and 200 % text (1.4.4). */
const readings = [
  { reading: 'spaced text at 320 px', width: 320, css: SPACING },
  { reading: 'text at 200 %', width: 390, css: 'html { font-size: 200% }' },
]

test('every page for strangers is whole, on every screen', async ({ page, demo, person }) => {
  test.slow()
  await walk(pagesForStrangers, { page, demo, person })
})

test('every page for people who are signed in is whole, on every screen', async ({ page, browser, demo, person }) => {
  test.slow()
  await page.goto('/register')
  const newcomer = { ...person, username: `${person.username}-of-the-very-long-name`, email: `new-${person.email}` }
  await page.getByLabel('User name').fill(newcomer.username)
  await page.getByLabel('E-mail').fill(newcomer.email)
  await page.getByLabel('Password', { exact: true }).fill(newcomer.password)
  await page.getByLabel('Password again').fill(newcomer.password)
  await page.getByRole('button', { name: 'Create account' }).click()
  await expect(page.getByRole('heading', { name: 'More apps you can open' })).toBeVisible()
  await inspect(page, 'no app opened yet')

  const firefox = await openBrowser(browser, demo, FIREFOX_ON_WINDOWS)
  await connect(firefox, demo.notes, newcomer)
  await firefox.context().close()
  await connectSilently(page, demo.notes, newcomer)
  await connectSilently(page, demo.photos, newcomer)
  await walk(pagesForPeople, { page, demo, person: newcomer })
})

async function walk(pages: Pages, visit: Visit) {
  const foreign: string[] = []
  visit.page.on('request', (request) => {
    const isOfPortal = request.frame().url().startsWith(visit.demo.portal)
    if (isOfPortal && !request.isNavigationRequest() && !request.url().startsWith(`${visit.demo.portal}/`)) {
      foreign.push(request.url())
    }
  })
  for (const [name, open] of Object.entries(pages)) {
    await test.step(name, async () => {
      await open(visit)
      await expect(visit.page.getByRole('heading', { level: 1 })).toContainText(name.split(',')[0] ?? name)
      await inspect(visit.page, name)
    })
  }
  expect(foreign).toEqual([])
}

async function inspect(page: Page, name: string) {
  await expect(page).toHaveTitle(/\S+ · Gatehouse$/)
  await expect(page.getByRole('heading', { level: 1 })).toHaveCount(1)
  await expect(page.getByRole('main')).toHaveCount(1)
  await expect(page.locator('html')).toHaveAttribute('lang', 'en')
  expect(await listFaults(page), `${name}: what has no name, or not its own`).toEqual([])

  const papers = new Set<string>()
  for (const { colorScheme, width } of looks) {
    await page.emulateMedia({ colorScheme })
    await page.setViewportSize({ width, height: 800 })
    papers.add(
      await page
        .locator('body')
        .evaluate((body) => body.ownerDocument.defaultView.getComputedStyle(body).backgroundColor),
    )
    expect(await listOverflowing(page), `${name}, ${colorScheme}, ${width} px: wider than the screen`).toEqual([])
    expect(await listBrokenWords(page), `${name}, ${colorScheme}, ${width} px: words broken on buttons`).toEqual([])
  }
  for (const { reading, width, css } of readings) {
    await page.setViewportSize({ width, height: 800 })
    await useStyle(page, css)
    expect(await listOverflowing(page), `${name}, ${reading}: wider than the screen`).toEqual([])
    expect(await listBrokenWords(page), `${name}, ${reading}: words broken on buttons`).toEqual([])
  }
  await useStyle(page, '')
  expect(papers.size, `${name}: as many papers as colour schemes`).toBe(2)
}

/** Fields without a label, buttons and links without text, duplicate ids. */
function listFaults(page: Page): Promise<string[]> {
  return page.locator('html').evaluate((html) => {
    const fields = [...html.querySelectorAll('input:not([type=hidden]), select, textarea')]
    const others = [...html.querySelectorAll('button, a, summary')]
    const ids = [...html.querySelectorAll('[id]')].map((element) => element.id)
    const unnamed = [
      ...fields.filter((field) => ![...(field.labels ?? [])].some((label) => label.textContent.trim() !== '')),
      ...others.filter((element) => element.textContent.trim() === ''),
    ]
    return [...unnamed.map((element) => element.outerHTML), ...ids.filter((id, index) => ids.indexOf(id) !== index)]
  })
}

/** A style sheet as a user's browser would add it; the CSP of the pages allows none inline. */
function useStyle(page: Page, css: string): Promise<void> {
  return page.locator('html').evaluate((html, text) => {
    const sheet = new html.ownerDocument.defaultView.CSSStyleSheet()
    sheet.replaceSync(text)
    html.ownerDocument.adoptedStyleSheets = [sheet]
  }, css)
}

/** Short words on buttons and in the navigation that wrap to the next line. */
function listBrokenWords(page: Page): Promise<string[]> {
  return page.locator('html').evaluate((html) => {
    const broken = []
    for (const element of html.querySelectorAll('button, nav a')) {
      const texts = html.ownerDocument.createTreeWalker(element, 4)
      while (texts.nextNode()) {
        const text = texts.currentNode
        if (text.parentElement.closest('.visually-hidden') !== null) continue
        for (const { 0: word, index } of text.data.matchAll(/(?<![^\s-])\p{L}{2,14}(?![^\s-])/gu)) {
          const range = html.ownerDocument.createRange()
          range.setStart(text, index)
          range.setEnd(text, index + word.length)
          const lines = new Set([...range.getClientRects()].map(({ top }) => top))
          if (lines.size > 1) broken.push(word)
        }
      }
    }
    return broken
  })
}

/** What overflows at the right, if the page can be scrolled sideways. */
function listOverflowing(page: Page): Promise<string[]> {
  return page.locator('html').evaluate((html) => {
    if (html.scrollWidth <= html.clientWidth) return []
    const wide = [...html.querySelectorAll('*')].filter(
      (element) => element.getBoundingClientRect().right > html.clientWidth,
    )
    return ['the page', ...wide.map((element) => element.outerHTML.slice(0, 120))]
  })
}
