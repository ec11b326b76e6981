import type { Page } from '@playwright/test'
import { type Demo, expect, type Person, test } from './demo.ts'
import {
  appCard,
  connect,
  connectSilently,
  expectConnected,
  expectDisconnected,
  expectNews,
  expectNoSignIn,
  fillSignIn,
  FIREFOX_ON_WINDOWS,
  openBrowser,
  openEnded,
  openFamily,
  refresh,
  removeApp,
  signInAtPortal,
} from './steps.ts'

test('Photos needs no page of the portal after Notes', async ({ page, demo, person }) => {
  await connect(page, demo.notes, person)

  const shown: string[] = []
  page.on('framenavigated', (frame) => shown.push(new URL(frame.url()).origin))
  const answers: number[] = []
  page.on('response', (response) => {
    if (response.url().startsWith(demo.portal) && response.request().isNavigationRequest()) {
      answers.push(response.status())
    }
  })
  await connectSilently(page, demo.photos, person)
  await page.getByRole('button', { name: 'Load my profile' }).click()
  await expect(page.getByTestId('api-result')).toContainText(person.email)

  expect(new Set(shown)).toEqual(new Set([new URL(demo.photos).origin]))
  expect(answers).toEqual([303])
})

test('Photos refreshes by itself half a minute before its token expires', async ({ page, demo, person }) => {
  await page.clock.install()
  await connect(page, demo.photos, person)
  await page.clock.fastForward('04:20')
  await expect(page.getByTestId('refreshes')).toHaveText('0')
  await page.clock.fastForward('00:15')
  await expect(page.getByTestId('refreshes')).toHaveText('1')
  await expect(page.getByTestId('expires-in')).toHaveText(/^(?:300|29\d)$/)
})

test('a reload and a second tab go on in the same family of Photos', async ({ page, context, demo, person }) => {
  await connect(page, demo.photos, person)
  const family = (await page.getByTestId('fam').textContent()) ?? ''
  await page.reload()
  await expect(page.getByTestId('fam')).toHaveText(family)
  await expect(page.getByTestId('refreshes')).toHaveText('1')

  // A duplicated tab starts with a copy of the first one's storage.
  const stored = await page.evaluate(() => JSON.stringify(sessionStorage))
  const duplicate = await context.newPage()
  await duplicate.addInitScript((copy) => {
    if (sessionStorage.length === 0) Object.assign(sessionStorage, JSON.parse(copy))
  }, stored)
  await duplicate.goto(demo.photos)
  await expect(duplicate.getByTestId('refreshes')).toHaveText('2')
  await expect(page.getByTestId('refreshes')).toHaveText('2')
  await refresh(page)
  await expect(duplicate.getByTestId('refreshes')).toHaveText('3')
  await refresh(duplicate)
  await expect(page.getByTestId('refreshes')).toHaveText('4')
  await expect(page.getByTestId('fam')).toHaveText(family)
  await expect(duplicate.getByTestId('fam')).toHaveText(family)
})

test('ending one sign-in to Notes leaves the other browser and Photos alone', async ({
  page,
  browser,
  demo,
  person,
}) => {
  const firefox = await openBrowser(browser, demo, FIREFOX_ON_WINDOWS)
  await connect(firefox, demo.notes, person)
  await connect(page, demo.notes, person)
  await connectSilently(page, demo.photos, person)

  await page.goto('/dashboard')
  await page.getByRole('button', { name: 'Sign out of Notes in Firefox on Windows' }).click()
  await expect(page.getByRole('status')).toHaveText('You are signed out of the app in that browser.')
  await expect(appCard(page, 'Notes')).toContainText('this browser')
  const ended = await openEnded(page, 'Notes', 1)
  await expect(ended).toContainText('Firefox on Windows')
  await expect(ended).toContainText('Ended: you ended it, from Chrome')

  await expectDisconnected(firefox, demo.notes, 'Notes')
  await page.goto(demo.notes)
  await refresh(page)
  await page.goto(demo.photos)
  // It refreshes when its page loads; the count must start after that.
  await expect(page.getByTestId('refreshes')).toHaveText('1')
  await refresh(page)
  // The browser is still signed in, so the app gets a new family without a page.
  await connectAgain(firefox, demo, person)
  await firefox.context().close()
})

test('signing out of Notes ends its family only, and the dashboard says who did it', async ({ page, demo, person }) => {
  await connect(page, demo.notes, person)
  await connectSilently(page, demo.photos, person)

  await page.goto(demo.notes)
  await page.getByRole('button', { name: 'Sign out of Notes' }).click()
  await expect(page.getByRole('button', { name: 'Sign in with Gatehouse' })).toBeVisible()

  await page.goto('/dashboard')
  await expectNoSignIn(page, 'Notes')
  await expect(await openEnded(page, 'Notes', 1)).toContainText('the app signed you out')
  await expect(appCard(page, 'Photos')).toContainText('this browser')
  await connectSilently(page, demo.notes, person)
})

test('signing out of Photos ends its family', async ({ page, demo, person }) => {
  await connect(page, demo.photos, person)
  await page.getByRole('button', { name: 'Sign out of Photos' }).click()
  await expect(page.getByRole('button', { name: 'Sign in with Gatehouse' })).toBeVisible()
  await page.goto('/dashboard')
  await expectNoSignIn(page, 'Photos')
})

for (const [from, other] of [
  ['Notes', 'Photos'],
  ['Photos', 'Notes'],
] as const) {
  test(`"Sign out of all apps" in ${from} signs this browser out of the portal and of ${other}`, async ({
    page,
    demo,
    person,
  }) => {
    const [here, there] = from === 'Notes' ? [demo.notes, demo.photos] : [demo.photos, demo.notes]
    await connect(page, there, person)
    await connectSilently(page, here, person)

    await page.getByRole('button', { name: 'Sign out of all apps' }).click()
    await expect(page).toHaveURL(here)
    await expect(page.getByRole('button', { name: 'Sign in with Gatehouse' })).toBeVisible()
    await expectDisconnected(page, there, other)
    await page.goto('/dashboard')
    await expect(page).toHaveURL(/\/login/)
    await connect(page, here, person)
    await page.goto('/dashboard')
    await expect(await openEnded(page, other, 1)).toContainText('you signed out in an app, from Chrome')
  })
}

test('signing out at the portal ends single sign-on and the families of this browser', async ({
  page,
  browser,
  demo,
  person,
}) => {
  const firefox = await openBrowser(browser, demo, FIREFOX_ON_WINDOWS)
  await connect(firefox, demo.notes, person)
  await connect(page, demo.notes, person)
  await connectSilently(page, demo.photos, person)

  await page.goto('/dashboard')
  await page.getByRole('button', { name: 'Sign out', exact: true }).click()
  await expectNews(page, 'You are signed out.')

  await expectDisconnected(page, demo.notes, 'Notes')
  await expectDisconnected(page, demo.photos, 'Photos')
  await page.getByRole('button', { name: 'Sign in again' }).click()
  await expect(page.getByLabel('Password', { exact: true })).toBeVisible()
  await fillSignIn(page, person)
  await expectConnected(page, demo.photos, person)

  // The other browser stays signed in.
  await refresh(firefox)
  await firefox.context().close()
})

test('two hundred sign-ins to one app are all there and each can be ended', async ({ page, demo, person }) => {
  test.slow()
  await signInAtPortal(page, person)
  const eighth = async () => {
    for (let opened = 0; opened < 25; opened++) await openFamily(page, 'photos', demo.photos)
  }
  await Promise.all(Array.from({ length: 8 }, eighth))

  await page.reload()
  const photos = appCard(page, 'Photos')
  const buttons = photos.getByRole('button', { name: /^Sign out of Photos/ })
  await expect(buttons).toHaveCount(3)
  await photos.getByText('Show all 200', { exact: true }).click()
  await expect(buttons).toHaveCount(200)
  await expect(buttons.last()).toBeVisible()

  await buttons.last().click()
  await expect(photos.getByText('Show all 199', { exact: true })).toBeVisible()
  await removeApp(page, 'Photos')
  await expectNoSignIn(page, 'Photos')
  await openEnded(page, 'Photos', 200)
  await expect(photos).toContainText('and 195 older')
})

async function connectAgain(page: Page, demo: Demo, person: Person) {
  await page.getByRole('button', { name: 'Sign in again' }).click()
  await expectConnected(page, demo.notes, person)
}
