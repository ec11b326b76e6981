import { expect, test } from './demo.ts'
import { arrive, leave } from './journey.ts'
import {
  appCard,
  connect,
  expectDisconnected,
  expectNews,
  FIREFOX_ON_WINDOWS,
  openBrowser,
  refresh,
  signInAtPortal,
} from './steps.ts'

test.use({ javaScriptEnabled: false })

test('the whole journey with Notes', async ({ page, demo }) => {
  const newcomer = { username: 'hedy', email: 'hedy@example.test', password: 'eighty-eight frequencies hop' }
  await arrive(page, demo, newcomer)
  await leave(page, demo, newcomer)
})

test('signing out of all apps takes one more button', async ({ page, demo, person }) => {
  await connect(page, demo.notes, person)
  await refresh(page)
  await page.getByRole('button', { name: 'Sign out of all apps' }).click()
  await expect(page.getByRole('heading', { name: 'Signing you out' })).toBeVisible()
  await page.getByRole('button', { name: 'Sign out' }).click()
  await expect(page).toHaveURL(demo.notes)
  await expect(page.getByRole('button', { name: 'Sign in with Gatehouse' })).toBeVisible()

  await page.goto('/dashboard')
  await expect(page).toHaveURL(/\/login/)
  await connect(page, demo.notes, person)
  await page.goto('/dashboard')
  await expect(appCard(page, 'Notes')).toContainText('1 ended')
})

test('signing out at the portal', async ({ page, demo, person }) => {
  await connect(page, demo.notes, person)
  await page.goto('/logout')
  await page.getByRole('button', { name: 'Sign out', exact: true }).click()
  await expectNews(page, 'You are signed out.')
  await expectDisconnected(page, demo.notes, 'Notes')
  await signInAtPortal(page, person)
})

test('signing out everywhere at the portal', async ({ page, browser, demo, person }) => {
  const firefox = await openBrowser(browser, demo, FIREFOX_ON_WINDOWS)
  await connect(firefox, demo.notes, person)
  await signInAtPortal(page, person)
  await page.goto('/sessions')
  await page.getByRole('link', { name: 'Sign out everywhere' }).click()
  await page.getByRole('button', { name: 'Sign out everywhere' }).click()
  await expectNews(page, 'You are signed out of every browser and every app.')
  await expectDisconnected(firefox, demo.notes, 'Notes')
  await firefox.goto('/dashboard')
  await expect(firefox).toHaveURL(/\/login/)
  await firefox.context().close()
})
