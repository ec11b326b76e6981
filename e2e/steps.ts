import { createHash, randomBytes } from 'node:crypto'
import { type Browser, type Locator, type Page } from '@playwright/test'
import { codeOf } from '../src/testing/portal/totp.ts'
import { type Demo, expect, type Person } from './demo.ts'

/** How long a test looks at a page before it loads it again, in ms: a page that has loaded shows its text, also on a slow machine. */
export const A_LOOK = 500

/** Steps of users in most tests. */
export async function fillSignIn(page: Page, { username, password }: Pick<Person, 'username' | 'password'>) {
  await page.getByLabel('User name or e-mail').fill(username)
  await page.getByLabel('Password', { exact: true }).fill(password)
  await page.getByRole('button', { name: 'Sign in' }).click()
}

export async function openForm(page: Page, app: string) {
  await page.goto(app)
  await page.getByRole('button', { name: 'Sign in with Gatehouse' }).click()
  await expect(page.getByRole('heading', { name: 'Sign in', exact: true })).toBeVisible()
}

/** Signs in to an app in a browser that is not signed in at the portal. */
export async function connect(page: Page, app: string, person: Pick<Person, 'username' | 'password'>) {
  await openForm(page, app)
  await fillSignIn(page, person)
  await expectConnected(page, app, person)
}

/** Signs in to an app in a browser that is signed in at the portal (single sign-on). */
export async function connectSilently(page: Page, app: string, person: Pick<Person, 'username'>) {
  await page.goto(app)
  await page.getByRole('button', { name: 'Sign in with Gatehouse' }).click()
  await expectConnected(page, app, person)
}

export async function signInAtPortal(page: Page, person: Pick<Person, 'username' | 'password'>) {
  await page.goto('/login')
  await fillSignIn(page, person)
  await expect(page).toHaveURL(/\/dashboard$/)
}

export async function expectConnected(page: Page, app: string, { username }: Pick<Person, 'username'>) {
  await expect(page).toHaveURL(app)
  await expect(page.getByRole('heading', { name: `Hello ${username}` })).toBeVisible()
}

/** Notes starts a sign-in that asks for more than usual (step-up, a language). */
export async function askFromNotes(page: Page, demo: Demo, more: Record<string, string>) {
  const begun = await page.request.post(new URL('/sign-in', demo.notes).href, {
    headers: { origin: new URL(demo.notes).origin },
    maxRedirects: 0,
  })
  const url = new URL(begun.headers()['location'] ?? '')
  for (const [name, value] of Object.entries(more)) url.searchParams.set(name, value)
  await page.goto(url.href)
}

/**
 * Notes gets a back-channel logout at once. Photos cannot; it learns the reason when its page loads, because it refreshes then.
 */
export async function expectDisconnected(page: Page, app: string, name: 'Notes' | 'Photos', reason = 'revoked') {
  const heading = page.getByRole('heading', { name: `${name} was disconnected` })
  if (name === 'Photos') {
    await page.goto(app)
    await expect(heading).toBeVisible()
    await expect(page.getByTestId('reason')).toHaveText(reason)
    return
  }
  await expect(async () => {
    await page.goto(app)
    await expect(heading).toBeVisible({ timeout: A_LOOK })
  }).toPass({ intervals: [250] })
  await expect(page.getByText('Gatehouse ended this connection, and told Notes at once.')).toBeVisible()
}

export async function refresh(page: Page) {
  const before = Number(await page.getByTestId('refreshes').textContent())
  await page.getByRole('button', { name: 'Refresh now' }).click()
  await expect(page.getByTestId('refreshes')).toHaveText(String(before + 1))
}

/** Reloads the page until it says so: it does not update by itself. */
export async function reloadUntil(page: Page, locator: Locator, text: RegExp) {
  await expect(async () => {
    await page.reload()
    await expect(locator).toContainText(text, { timeout: A_LOOK })
  }).toPass({ intervals: [250] })
}

/** Expects what a page says about the form before it. A password field has a status of its own, which is empty at first. */
export async function expectNews(page: Page, words: string) {
  await expect(page.getByRole('status').filter({ hasText: /\S/ })).toHaveText(words)
}

/** The card of an app on the dashboard. */
export function appCard(page: Page, name: string): Locator {
  return page.getByRole('region', { name, exact: true })
}

/** The ended sign-ins on the card of an app, once its list is open. */
export async function openEnded(page: Page, name: string, count: number): Promise<Locator> {
  const card = appCard(page, name)
  await card.getByText(`${count} ended`, { exact: true }).click()
  return card.locator('.ended').getByRole('listitem')
}

/** Removes an app on the dashboard, by way of the page that asks. */
export async function removeApp(page: Page, name: string) {
  await page.getByRole('link', { name: `Remove ${name}` }).click()
  await expect(page.getByRole('heading', { name: `Remove ${name}?` })).toBeVisible()
  await page.getByRole('button', { name: `Remove ${name}` }).click()
  await expect(page.getByRole('status')).toHaveText('The app was removed.')
}

/** Expects that the dashboard shows no sign-in to an app. */
export async function expectNoSignIn(page: Page, name: string) {
  await expect(page.getByRole('heading', { name: 'Your apps', exact: true })).toBeVisible()
  await expect(page.getByRole('link', { name: `Remove ${name}` })).toBeHidden()
}

/** Opens the one mail with this subject and these words to this e-mail address, once it is in the mail preview, and follows its link. */
export async function followMail(page: Page, subject: string, email: string, words = '') {
  await openMail(page, subject, email, words)
  await page.getByRole('link', { name: /\/(?:verify-email|reset-password|not-me|invitation|login\/mail)\// }).click()
}

/**
 * Mails arrive one by one, so the newest of a subject may not be the one that is meant: the mail about an earlier sign-in is there
 * first. Words in its text tell it apart. It fails when two mails fit.
 */
export async function openMail(page: Page, subject: string, email: string, words = '') {
  const listed = page
    .getByRole('listitem')
    .filter({ has: page.getByRole('link', { name: subject, exact: true }) })
    .filter({ has: page.getByText(email, { exact: true }) })
  await expect(async () => {
    await page.goto('/dev/outbox')
    const fitting: string[] = []
    for (const url of await linksIn(listed)) {
      await page.goto(url)
      await expect(page.getByRole('heading', { level: 1 })).toHaveText(subject)
      if ((await page.getByRole('main').innerText()).includes(words)) fitting.push(url)
    }
    expect(fitting, `mails “${subject}” to ${email}`).toHaveLength(1)
    await page.goto(fitting[0] ?? '')
  }).toPass()
}

function linksIn(rows: Locator): Promise<string[]> {
  return rows.getByRole('link').evaluateAll((links) => links.map((link) => link.getAttribute('href')))
}

/** Another browser of the same user, with its own user agent. */
export async function openBrowser(browser: Browser, demo: Demo, userAgent: string): Promise<Page> {
  const context = await browser.newContext({ baseURL: demo.portal, userAgent })
  return context.newPage()
}

export const FIREFOX_ON_WINDOWS = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0'

/** What a public client does in a signed-in browser. @returns the application token */
export async function openFamily(page: Page, clientId: string, redirectUri: string): Promise<string> {
  const verifier = randomBytes(32).toString('base64url')
  const answer = await page.request.get('/oauth/authorize', {
    maxRedirects: 0,
    params: {
      client_id: clientId,
      redirect_uri: redirectUri,
      response_type: 'code',
      scope: 'openid',
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
    },
  })
  const code = new URL(answer.headers()['location'] ?? '').searchParams.get('code') ?? ''
  const form = {
    grant_type: 'authorization_code',
    client_id: clientId,
    redirect_uri: redirectUri,
    code,
    code_verifier: verifier,
  }
  const tokens = await page.request.post('/oauth/token', { form })
  expect(tokens.status(), await tokens.text()).toBe(200)
  return ((await tokens.json()) as { access_token: string }).access_token
}

/** Sets up an authenticator app, from the page of the sign-in methods. @returns its key */
export async function addTotp(page: Page): Promise<string> {
  await page.getByRole('link', { name: 'Add an authenticator app' }).click()
  const key = (await page.locator('code.key').textContent()) ?? ''
  await page.getByLabel('Code').fill(codeOf(key, new Date()))
  await page.getByLabel('Name').fill('Phone')
  await page.getByRole('button', { name: 'Add this app' }).click()
  return key
}
