import { expect, test } from './demo.ts'
import {
  connect,
  connectSilently,
  expectConnected,
  expectDisconnected,
  expectNews,
  fillSignIn,
  FIREFOX_ON_WINDOWS,
  followMail,
  openBrowser,
  signInAtPortal,
} from './steps.ts'

const NEW_PASSWORD = 'the second walrus sings at noon'

test('who has forgotten the password gets in with a link, and everybody else is out', async ({
  page,
  browser,
  demo,
  person,
}) => {
  await connect(page, demo.notes, person)
  const firefox = await openBrowser(browser, demo, FIREFOX_ON_WINDOWS)
  await firefox.goto('/login')
  await firefox.getByRole('link', { name: 'Forgotten your password?' }).click()
  await firefox.getByLabel('E-mail').fill(person.email)
  await firefox.getByRole('button', { name: 'Send the link' }).click()
  await expect(firefox.getByRole('heading', { name: 'Check your e-mail' })).toBeVisible()

  await followMail(firefox, 'Choose a new Gatehouse password', person.email)
  await firefox.getByLabel('New password', { exact: true }).fill(NEW_PASSWORD)
  await firefox.getByLabel('New password again').fill(NEW_PASSWORD)
  await firefox.getByRole('button', { name: 'Set the new password' }).click()
  await expectNews(firefox, 'Your password is changed, and you are signed out everywhere. Sign in with the new one.')
  await fillSignIn(firefox, { ...person, password: NEW_PASSWORD })
  await expect(firefox).toHaveURL(/\/dashboard$/)

  await expectDisconnected(page, demo.notes, 'Notes')
  await page.goto('/dashboard')
  await expect(page).toHaveURL(/\/login/)
  await fillSignIn(page, person)
  await expect(page.getByRole('alert')).toContainText('do not match')
  await firefox.context().close()
})

test('a sign-in from a browser that was not known is told, and can be disowned from the mail', async ({
  page,
  browser,
  demo,
  person,
}) => {
  await connect(page, demo.notes, person)
  const thief = await openBrowser(browser, demo, FIREFOX_ON_WINDOWS)
  await signInAtPortal(thief, person)

  const reader = await openBrowser(browser, demo, FIREFOX_ON_WINDOWS)
  // The sign-in on the way to Notes, in Chrome, was from a browser that was not known either.
  await followMail(reader, 'New sign-in to your Gatehouse account', person.email, 'Firefox on Windows')
  await expect(reader.getByText('Firefox on Windows')).toBeVisible()
  await reader.getByRole('button', { name: 'Sign out everywhere' }).click()
  await expect(reader.getByRole('heading', { name: 'Choose a new password' })).toBeVisible()
  await thief.goto('/dashboard')
  await expect(thief).toHaveURL(/\/login/)
  await expectDisconnected(page, demo.notes, 'Notes')
  for (const each of [thief, reader]) await each.context().close()
})

test('an account that was deleted is over in every app, and can be kept after all', async ({ page, demo, person }) => {
  await connect(page, demo.notes, person)
  await page.goto('/settings')
  await page.getByRole('link', { name: 'Delete your account' }).click()
  await page.getByLabel('User name').fill(person.username)
  await page.getByRole('button', { name: 'Delete' }).click()
  await expect(page.getByRole('heading', { level: 1 })).toContainText('deleted')

  await expectDisconnected(page, demo.notes, 'Notes')

  await page.goto('/login')
  await fillSignIn(page, person)
  await page.getByRole('button', { name: 'Keep' }).click()
  await expect(page).toHaveURL(/\/dashboard$/)
  await page.goto(demo.notes)
  await page.getByRole('button', { name: 'Sign in again' }).click()
  await expectConnected(page, demo.notes, person)
})

test('who is invited creates the account from the mail, and uses an app at once', async ({ page, demo }) => {
  const username = `guest-${Date.now()}`
  const email = `${username}@example.test`
  await demo.gatehouse('user', 'invite', email, '--role', 'reader')
  await followMail(page, 'You are invited to Gatehouse', email)
  await expect(page.getByText(email)).toBeVisible()
  await page.getByLabel('User name').fill(username)
  await page.getByLabel('Password', { exact: true }).fill(NEW_PASSWORD)
  await page.getByLabel('Password again').fill(NEW_PASSWORD)
  await page.getByRole('button', { name: 'Create account' }).click()
  await expectNews(page, 'Your account is ready.')
  await expect(page.getByText('Confirm your e-mail address')).toHaveCount(0)
  await connectSilently(page, demo.notes, { username })
})
