import type { Locator, Page } from '@playwright/test'
import { expect, test } from './demo.ts'
import { connect, expectConnected, expectNews, fillSignIn, openForm } from './steps.ts'

test('a wrong password is refused and the right one then opens the app', async ({ page, demo, person }) => {
  await openForm(page, demo.notes)
  await fillSignIn(page, { ...person, password: 'not the one I use' })
  await expect(page.getByRole('alert')).toContainText('That user name or e-mail and password do not match.')
  await expect(page.getByText('to continue to Notes')).toBeVisible()
  await expect(page.getByLabel('User name or e-mail')).toHaveValue(person.username)
  await expect(page.getByLabel('Password', { exact: true })).toBeFocused()
  await expect(page.getByLabel('Password', { exact: true })).toHaveValue('')

  await page.getByLabel('Password', { exact: true }).fill(person.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await expectConnected(page, demo.notes, person)
})

test('an e-mail address, however it is written, is as good as the user name', async ({ page, demo, person }) => {
  await openForm(page, demo.notes)
  await fillSignIn(page, { ...person, username: person.email.toUpperCase() })
  await expectConnected(page, demo.notes, person)
})

test('a stranger is led through the sign-in to the page they wanted', async ({ page, person }) => {
  await page.goto('/activity')
  await fillSignIn(page, person)
  await expect(page).toHaveURL(/\/activity$/)
  await expect(page.getByText(/you signed in with your password\./i).first()).toBeVisible()
})

test('registering with things to correct keeps what was right', async ({ page, person }) => {
  await page.goto('/register')
  await page.getByLabel('User name').fill(person.username)
  await page.getByLabel('E-mail').fill('not an address')
  await page.getByLabel('Password', { exact: true }).fill('too short')
  await page.getByLabel('Password again').fill('too short')
  await page.getByRole('button', { name: 'Create account' }).click()

  const summary = page.getByRole('alert')
  await expect(summary).toContainText('There is a problem')
  await expect(page.getByLabel('User name')).toHaveValue(person.username)
  await summary.getByRole('link', { name: 'Use at least 15 characters.' }).click()
  await expect(page.getByLabel('Password', { exact: true })).toBeFocused()
})

test('a user who has forgotten that they have an account registers, and is led on signed in', async ({
  page,
  demo,
  person,
}) => {
  await openForm(page, demo.notes)
  await page.getByRole('link', { name: 'Create an account' }).click()
  await page.getByLabel('User name').fill(`${person.username}-again`)
  await page.getByLabel('E-mail').fill(person.email)
  await page.getByLabel('Password', { exact: true }).fill(person.password)
  await page.getByLabel('Password again').fill(person.password)
  await page.getByRole('button', { name: 'Create account' }).click()
  await expectConnected(page, demo.notes, person)
})

test('"back" after the sign-in leads on into the app again', async ({ page, demo, person }) => {
  await connect(page, demo.notes, person)
  await page.goBack()
  await expectConnected(page, demo.notes, person)
  await page.goBack()
  await expectConnected(page, demo.notes, person)
})

test('the sign-in form survives a reload', async ({ page, demo, person }) => {
  await openForm(page, demo.notes)
  await page.reload()
  await expect(page.getByText('to continue to Notes')).toBeVisible()
  await fillSignIn(page, person)
  await expectConnected(page, demo.notes, person)
})

test('two tabs wait at the form, and both end up in their apps', async ({ page, context, demo, person }) => {
  const second = await context.newPage()
  await openForm(page, demo.notes)
  await openForm(second, demo.photos)

  await fillSignIn(page, person)
  await expectConnected(page, demo.notes, person)
  // The second tab does not show that the first one was faster, so the user fills it in too.
  await fillSignIn(second, person)
  await expectConnected(second, demo.photos, person)

  await page.getByRole('button', { name: 'Refresh now' }).click()
  await expectConnected(page, demo.notes, person)
})

test('two tabs wait for the same app; reloading the second is enough', async ({ page, context, demo, person }) => {
  const second = await context.newPage()
  await openForm(page, demo.notes)
  await openForm(second, demo.notes)

  await fillSignIn(page, person)
  await expectConnected(page, demo.notes, person)
  await second.reload()
  await expectConnected(second, demo.notes, person)
})

test('the portal forgets the browser while the form is open, and the person still ends up in the app', async ({
  page,
  context,
  demo,
  person,
}) => {
  await openForm(page, demo.notes)
  await context.clearCookies({ domain: 'localhost' })
  await fillSignIn(page, person)
  await expectConnected(page, demo.notes, person)
})

test('a form that has expired says so and leads on to the app', async ({ page, context, demo, person }) => {
  await openForm(page, demo.notes)
  await context.clearCookies({ domain: 'localhost' })
  await page.reload()
  await expect(page.getByRole('heading', { name: 'This sign-in cannot go on' })).toBeVisible()

  await page.getByRole('link', { name: 'Continue to Notes' }).click()
  await expect(page.getByText('to continue to Notes')).toBeVisible()
  await fillSignIn(page, person)
  await expectConnected(page, demo.notes, person)
})

test('the keyboard alone is enough, from Notes to signing out', async ({ page, demo, person }) => {
  await page.goto(demo.notes)
  await page.keyboard.press('Tab')
  await expect(page.getByRole('link', { name: 'Notes', exact: true })).toBeFocused()
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')

  await expect(page.getByLabel('User name or e-mail')).toBeFocused()
  await page.keyboard.type(person.username)
  await page.keyboard.press('Tab')
  await expect(page.getByLabel('Password', { exact: true })).toBeFocused()
  await page.keyboard.type(person.password)
  await page.keyboard.press('Enter')
  await expectConnected(page, demo.notes, person)

  await page.goto('/dashboard')
  await page.keyboard.press('Tab')
  await expect(page.getByRole('link', { name: 'Skip to the content' })).toBeFocused()
  await expect(page.getByRole('link', { name: 'Skip to the content' })).toBeInViewport()
  await page.keyboard.press('Enter')
  await page.keyboard.press('Tab')
  await expect(page.getByRole('main').locator(':focus')).toBeVisible()
  await press(page, page.getByRole('link', { name: 'Remove Notes' }))
  await expect(page.getByRole('heading', { name: 'Remove Notes?' })).toBeVisible()
  await press(page, page.getByRole('link', { name: 'Keep Notes' }))
  await press(page, page.getByRole('link', { name: 'Remove Notes' }))
  await expect(page.getByRole('heading', { name: 'Remove Notes?' })).toBeVisible()
  await press(page, page.getByRole('button', { name: 'Remove Notes' }))
  await expect(page.getByRole('status')).toHaveText('The app was removed.')

  await press(page, page.getByRole('contentinfo').locator('summary'))
  await press(page, page.getByRole('button', { name: 'Deutsch' }))
  await expect(page.locator('html')).toHaveAttribute('lang', 'de')
  await press(page, page.getByRole('contentinfo').locator('summary'))
  await press(page, page.getByRole('button', { name: 'English' }))
  await expect(page.locator('html')).toHaveAttribute('lang', 'en')
  await press(page, page.getByRole('button', { name: 'Sign out', exact: true }))
  await expectNews(page, 'You are signed out.')
})

/** Goes forward with the Tab key to a link or button that is in sight once it has the focus, and presses it. */
async function press(page: Page, target: Locator) {
  await expect(target).toBeVisible()
  for (let stops = 0; stops < 40; stops++) {
    await page.keyboard.press('Tab')
    if (await target.evaluate((element) => element.matches(':focus'))) break
  }
  await expect(target).toBeFocused()
  await expect(target).toBeInViewport()
  await page.keyboard.press('Enter')
}
