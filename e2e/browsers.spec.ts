import { expect, test } from './demo.ts'
import { connect, expectDisconnected, FIREFOX_ON_WINDOWS, openBrowser, refresh, signInAtPortal } from './steps.ts'

test('a browser can be signed out from another one', async ({ page, browser, demo, person }) => {
  const firefox = await openBrowser(browser, demo, FIREFOX_ON_WINDOWS)
  await connect(firefox, demo.notes, person)
  await connect(page, demo.notes, person)

  await page.goto('/sessions')
  const signedIn = page.getByRole('listitem').filter({ hasText: 'Signed in' })
  await expect(signedIn.filter({ hasText: 'this browser' })).toContainText('Chrome')
  await page.getByRole('button', { name: 'End this sign-in on Firefox on Windows' }).click()
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
  await page.getByRole('button', { name: 'End all other sign-ins' }).click()
  await expect(page.getByRole('status')).toHaveText('Every other browser was signed out.')
  await expect(page.getByRole('button', { name: 'End all other sign-ins' })).toBeHidden()
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
  await page.getByRole('button', { name: 'Sign out of this browser' }).click()
  await expect(page.getByRole('status')).toHaveText('You are signed out.')

  await page.goBack()
  await expect(page).toHaveURL(/\/login\?return_to=%2Fsessions$/)
})
