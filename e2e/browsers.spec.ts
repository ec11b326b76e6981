import { expect, test } from './demo.ts'
import {
  connect,
  expectDisconnected,
  expectNews,
  FIREFOX_ON_WINDOWS,
  openBrowser,
  refresh,
  signInAtPortal,
} from './steps.ts'

test('a browser can be signed out from another one', async ({ page, browser, demo, person }) => {
  const firefox = await openBrowser(browser, demo, FIREFOX_ON_WINDOWS)
  await connect(firefox, demo.notes, person)
  await connect(page, demo.notes, person)

  await page.goto('/sessions')
  const signedIn = page.getByRole('region', { name: 'Signed in', exact: true }).getByRole('listitem')
  await expect(signedIn.filter({ hasText: 'this browser' })).toContainText('Chrome')
  await page.getByRole('button', { name: 'Sign out Firefox on Windows' }).click()
  await expect(page.getByRole('status')).toHaveText('That browser was signed out.')
  await expect(signedIn.filter({ hasText: 'Firefox on Windows' })).toBeHidden()

  await expectDisconnected(firefox, demo.notes, 'Notes')
  await firefox.goto('/dashboard')
  await expect(firefox).toHaveURL(/\/login\?return_to=%2Fdashboard$/)
  await firefox.context().close()

  await page.goto(demo.notes)
  await refresh(page)
  await page.goto('/activity')
  await expect(page.getByText(/ was signed out: you ended it\./)).toBeVisible()
  await expect(page.getByText('Signed out of Notes: the browser was signed out.')).toBeVisible()
})

test('all other browsers can be signed out at once', async ({ page, browser, demo, person }) => {
  const others = [
    await openBrowser(browser, demo, FIREFOX_ON_WINDOWS),
    await openBrowser(browser, demo, FIREFOX_ON_WINDOWS),
  ]
  for (const other of others) await signInAtPortal(other, person)
  await signInAtPortal(page, person)

  await page.goto('/sessions')
  await page.getByRole('button', { name: 'Sign out everywhere else' }).click()
  await expect(page.getByRole('status')).toHaveText('You are signed out everywhere else.')
  await expect(page.getByRole('button', { name: 'Sign out everywhere else' })).toBeHidden()
  for (const other of others) {
    await other.reload()
    await expect(other).toHaveURL(/\/login/)
    await other.context().close()
  }
  await page.goto('/dashboard')
  await expect(page.getByRole('heading', { name: 'Your apps' })).toBeVisible()
})

test('this browser can be signed out from the list of browsers', async ({ page, person }) => {
  await signInAtPortal(page, person)
  await page.getByRole('link', { name: 'Browsers' }).click()
  await page.getByRole('button', { name: 'Sign out this browser' }).click()
  await expectNews(page, 'You are signed out.')

  await page.goBack()
  await expect(page).toHaveURL(/\/login\?return_to=%2Fsessions$/)
})

test('a browser gets a name, shows what it is, and is forgotten', async ({ page, browser, demo, person }) => {
  const firefox = await openBrowser(browser, demo, FIREFOX_ON_WINDOWS)
  await connect(firefox, demo.notes, person)
  await signInAtPortal(page, person)
  await page.goto('/sessions')
  await page.getByRole('link', { name: 'Details of Firefox on Windows' }).click()
  await expect(page.getByRole('heading', { name: 'Firefox on Windows' })).toBeVisible()
  await expect(page.getByText('Mozilla/5.0 (Windows')).toBeVisible()
  await page.getByLabel('Name of this browser').fill('Kitchen laptop')
  await page.getByRole('button', { name: 'Save the name' }).click()
  await expect(page.getByRole('status')).toHaveText('The name of the browser was saved.')

  await page.getByRole('button', { name: 'Sign out Kitchen laptop' }).click()
  const known = page.getByRole('region', { name: 'Signed out, but known' })
  await expect(known).toContainText('Kitchen laptop')
  await page.getByRole('button', { name: 'Forget Kitchen laptop' }).click()
  await expect(page.getByRole('status')).toHaveText('That browser is not known any more.')
  await expect(page.getByText('Kitchen laptop')).toBeHidden()
  await firefox.context().close()
})
