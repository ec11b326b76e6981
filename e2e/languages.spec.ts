import { randomBytes } from 'node:crypto'
import type { Page } from '@playwright/test'
import { codeOf } from '../src/testing/portal/totp.ts'
import { type Texts, textsFor } from '../src/i18n/texts.ts'
import { expect, type Person, test } from './demo.ts'
import { appCard, askFromNotes, expectConnected, expectNews, refresh, signInAtPortal } from './steps.ts'

/** The words of the portal, with the name that the demo's portal has. */
const wordsIn = (language: string) => textsFor(language, { organisation: 'Gatehouse' })

const WIDTHS = [320, 390]

/** Runs of three and more Latin words in what a page shows or reads out, apart from names, codes and the list of languages. */
const LATIN_SENTENCES = `(() => {
  const page = document.body.cloneNode(true)
  for (const part of page.querySelectorAll('bdi, code, [lang], script')) part.remove()
  const said = [document.title]
  const texts = document.createTreeWalker(page, NodeFilter.SHOW_TEXT)
  while (texts.nextNode()) said.push(texts.currentNode.data)
  for (const part of page.querySelectorAll('*')) {
    for (const name of ['aria-label', 'title', 'alt', 'placeholder']) said.push(part.getAttribute(name) ?? '')
    said.push(...Object.values(part.dataset))
  }
  return said.flatMap((words) => words.match(/[a-z][a-z’'-]*(?:[ ,]+[a-z][a-z’'-]*){2,}/gi) ?? [])
})()`

/** Expects that a page is in the language throughout, is written its way, and fits a phone. */
async function expectPageIn(page: Page, texts: Texts, heading: string) {
  await expect(page.getByRole('heading', { level: 1 })).toContainText(heading)
  await expect(page.locator('html')).toHaveAttribute('lang', texts.language)
  await expect(page.locator('html')).toHaveAttribute('dir', texts.direction)
  if (texts.language !== 'en') expect(await page.evaluate<string[]>(LATIN_SENTENCES), page.url()).toEqual([])
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 844 })
    const sideways = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth')
    expect(sideways, `pixels past the edge of ${page.url()} at ${width}`).toBeLessThanOrEqual(0)
  }
}

/** The words of a link inside a sentence. */
function linkIn(html: string): string {
  return /<a [^>]*>([^<]*)<\/a>/.exec(html)?.[1] ?? ''
}

async function registerAndUseNotes(page: Page, texts: Texts, notes: string, newcomer: Person) {
  await page.goto(notes)
  await page.getByRole('button', { name: 'Sign in with Gatehouse' }).click()
  await expectPageIn(page, texts, texts.t('sign_in.title'))
  await page.getByRole('link', { name: linkIn(texts.rich('sign_in.register', {}, { link: '#' })) }).click()
  await expectPageIn(page, texts, texts.t('register.title'))
  await page.getByLabel(texts.t('register.username_label')).fill(newcomer.username)
  await page.getByLabel(texts.t('register.email_label')).fill(newcomer.email)
  await page.getByLabel(texts.t('password.label'), { exact: true }).fill(newcomer.password)
  await page.getByLabel(texts.t('password.again_label')).fill(newcomer.password)
  await page.getByRole('button', { name: texts.t('register.button') }).click()
  await expectConnected(page, notes, newcomer)
  await refresh(page)
}

async function removeNotes(page: Page, texts: Texts) {
  await page.goto('/dashboard')
  await expectPageIn(page, texts, texts.t('dashboard.title'))
  const app = 'Notes'
  const notes = appCard(page, app)
  await expect(notes.getByRole('link', { name: texts.t('dashboard.open_button', { app }) })).toBeVisible()
  await notes.getByRole('link', { name: texts.t('dashboard.remove_link', { app }) }).click()
  await expectPageIn(page, texts, texts.t('disconnections.title', { app }))
  await page.getByRole('button', { name: texts.t('disconnections.button', { app }) }).click()
  await expectNews(page, texts.t('flash.disconnected'))
  await expectPageIn(page, texts, texts.t('dashboard.title'))
  await notes.locator('summary').click()
  await notes.locator('.ended').getByRole('link').click()
  await expectPageIn(page, texts, texts.t('families.title', { app }))
  await page.goto('/activity')
  await expectPageIn(page, texts, texts.t('activity.title'))
  await page.goto('/sessions')
  await expectPageIn(page, texts, texts.t('sessions.title'))
}

/** @returns the key of the authenticator app */
async function addAuthenticatorApp(page: Page, texts: Texts): Promise<string> {
  await page.goto('/settings')
  await expectPageIn(page, texts, texts.t('layout.settings'))
  await page.getByRole('link', { name: texts.t('settings.methods_change_label') }).click()
  await expectPageIn(page, texts, texts.t('methods.title'))
  await page.getByRole('link', { name: texts.t('methods.totp_add') }).click()
  await expectPageIn(page, texts, texts.t('totp.title'))
  const key = (await page.locator('code.key').textContent()) ?? ''
  await page.getByLabel(texts.t('second_step.code_label')).fill(codeOf(key, new Date()))
  await page.getByLabel(texts.t('methods.name_label'), { exact: true }).fill('Phone')
  await page.getByRole('button', { name: texts.t('totp.button') }).click()
  await expectPageIn(page, texts, texts.t('recovery_codes.title'))
  await page.getByRole('link', { name: texts.t('recovery_codes.saved_link') }).click()
  return key
}

async function signOutAndInAgain(page: Page, texts: Texts, { username, password }: Person, key: string) {
  await page.goto('/logout')
  await expectPageIn(page, texts, texts.t('sign_out.title'))
  await page.getByRole('button', { name: texts.t('sign_out.button'), exact: true }).click()
  await expectNews(page, texts.t('flash.signed_out'))
  await page.getByLabel(texts.t('sign_in.login_label')).fill(username)
  await page.getByLabel(texts.t('password.label'), { exact: true }).fill(password)
  await page.getByRole('button', { name: texts.t('sign_in.button'), exact: true }).click()
  await expectPageIn(page, texts, texts.t('second_step.title'))
  // The code that proved the key is used up.
  await page.getByLabel(texts.t('second_step.code_label'), { exact: true }).fill(codeOf(key, new Date(), 1))
  await page.getByRole('button', { name: texts.t('forms.continue') }).click()
  await expectPageIn(page, texts, texts.t('dashboard.title'))
  await page
    .getByRole('banner')
    .getByRole('button', { name: texts.t('layout.sign_out') })
    .click()
  await expectNews(page, texts.t('flash.signed_out'))
  await expectPageIn(page, texts, texts.t('sign_in.title'))
}

for (const [language, javaScriptEnabled] of [
  ['ar', true],
  ['ar', false],
  ['en', true],
] as const) {
  test.describe(`in ${language}, ${javaScriptEnabled ? 'with' : 'without'} JavaScript`, () => {
    test.use({ locale: language, javaScriptEnabled })

    test('from no account to signing out, on a phone', async ({ page, demo }) => {
      const texts = wordsIn(language)
      const username = `maryam-${randomBytes(4).toString('hex')}`
      const newcomer = { username, email: `${username}@example.test`, password: 'a brass astrolabe of my own' }
      await registerAndUseNotes(page, texts, demo.notes, newcomer)
      await removeNotes(page, texts)
      const key = await addAuthenticatorApp(page, texts)
      await signOutAndInAgain(page, texts, newcomer, key)
    })
  })
}

for (const javaScriptEnabled of [true, false]) {
  test.describe(`${javaScriptEnabled ? 'with' : 'without'} JavaScript`, () => {
    test.use({ javaScriptEnabled, timezoneId: 'Asia/Tokyo' })

    test('the switch at the foot of every page changes the language of the browser', async ({ page }) => {
      await page.goto('/login?return_to=%2Factivity')
      await page.getByRole('contentinfo').locator('summary').click()
      await page.getByRole('button', { name: 'Deutsch' }).click()
      await expect(page).toHaveURL(/\/login\?return_to=%2Factivity$/)
      await expect(page.getByRole('heading', { level: 1 })).toHaveText(wordsIn('de').t('sign_in.title'))
      await page.goto('/register')
      await expect(page.locator('html')).toHaveAttribute('lang', 'de')
      await page.getByRole('contentinfo').locator('summary').click()
      await page.getByRole('button', { name: 'English' }).click()
      await expect(page.getByRole('heading', { level: 1 })).toHaveText('Create an account')
    })

    test('times are in the zone of the browser, or in UTC and say so', async ({ page, demo, person }) => {
      await signInAtPortal(page, person)
      await page.goto(demo.notes)
      await page.getByRole('button', { name: 'Sign in with Gatehouse' }).click()
      await expectConnected(page, demo.notes, person)
      await page.goto('/dashboard')
      const time = appCard(page, 'Notes').getByRole('time').first()
      const at = new Date((await time.getAttribute('datetime')) ?? '')
      const texts = textsFor('en', { organisation: '', zone: javaScriptEnabled ? 'Asia/Tokyo' : null })
      const { text } = texts.time(at, at)
      expect(text.endsWith(' UTC')).toBe(!javaScriptEnabled)
      await expect(time).toHaveAttribute('title', text)
    })
  })
}

test('an app asks for a language on the way to it only (ui_locales)', async ({ page, demo, person }) => {
  const texts = wordsIn('fr')
  await askFromNotes(page, demo, { ui_locales: 'tlh fr-CA de' })
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(texts.t('sign_in.title'))
  await expect(page.locator('html')).toHaveAttribute('lang', 'fr')
  await page.getByLabel(texts.t('sign_in.login_label')).fill(person.username)
  await page.getByLabel(texts.t('password.label'), { exact: true }).fill('not the one I use')
  await page.getByRole('button', { name: texts.t('sign_in.button'), exact: true }).click()
  await expect(page.getByRole('alert')).toContainText(texts.t('sign_in.wrong'))
  await page.getByLabel(texts.t('password.label'), { exact: true }).fill(person.password)
  await page.getByRole('button', { name: texts.t('sign_in.button'), exact: true }).click()
  await expectConnected(page, demo.notes, person)
  await page.goto('/dashboard')
  await expect(page.locator('html')).toHaveAttribute('lang', 'en')
})
