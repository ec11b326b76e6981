import { expect, test } from './demo.ts'
import { Laptop } from './laptop.ts'
import { connect, expectConnected, expectNews, fillSignIn, openForm, signInAtPortal } from './steps.ts'
import type { Page } from '@playwright/test'

async function signOut(page: Page) {
  await page.goto('/logout')
  await page.getByRole('button', { name: 'Sign out', exact: true }).click()
  await expectNews(page, 'You are signed out.')
}

async function expectOffer(page: Page) {
  await expect(page.getByRole('heading', { name: 'Sign in faster with a passkey' })).toBeVisible()
}

/** Chromium makes a passkey without a question only for its own password manager, so tests of the button leave that out. */
async function withoutUpgrade(page: Page) {
  await page.addInitScript('PublicKeyCredential.getClientCapabilities = async () => ({ conditionalCreate: false })')
}

test('a device with passkeys is offered one after the password, which signs in alone from then on', async ({
  page,
  person,
}) => {
  await withoutUpgrade(page)
  const laptop = await Laptop.open(page)
  await page.goto('/login')
  await fillSignIn(page, person)
  await expectOffer(page)
  await page.getByRole('button', { name: 'Create a passkey' }).click()
  await expect(page).toHaveURL(/\/dashboard$/)
  await page.goto('/settings/second-factors')
  await expect(page.getByText('You have not set up two-step verification.')).toBeVisible()

  // Without the user's touch, the sign-in page offers nothing by itself.
  await laptop.touch(false)
  await signOut(page)
  await laptop.signInByTouch(page)
  await laptop.touch(false)
  await signOut(page)
  await signInAtPortal(page, person)
})

test('the offer leads on to the app when it is cancelled, and does not come back', async ({ page, demo, person }) => {
  await withoutUpgrade(page)
  const laptop = await Laptop.open(page)
  await laptop.recognise(false)
  await openForm(page, demo.notes)
  await fillSignIn(page, person)
  await expectOffer(page)
  await page.getByRole('button', { name: 'Create a passkey' }).click()
  await expect(page.getByRole('alert').filter({ hasText: 'cancelled' })).toBeVisible()
  await page.getByRole('link', { name: 'Not now, continue to Notes' }).click()
  await expectConnected(page, demo.notes, person)
  await signOut(page)
  await signInAtPortal(page, person)
})

test('“Don’t ask again” leads on to the app', async ({ page, demo, person }) => {
  await withoutUpgrade(page)
  await Laptop.open(page)
  await openForm(page, demo.notes)
  await fillSignIn(page, person)
  await expectOffer(page)
  await page.getByRole('button', { name: 'Don’t ask again' }).click()
  await expectConnected(page, demo.notes, person)
})

test('a browser that can makes the passkey without a question, and the offer leads on by itself', async ({
  page,
  demo,
  person,
}) => {
  // What Chromium does after its password manager has filled in the password; the passkey is a real one.
  await page.addInitScript(`
    PublicKeyCredential.getClientCapabilities = async () => ({ conditionalCreate: true })
    const create = navigator.credentials.create.bind(navigator.credentials)
    navigator.credentials.create = ({ mediation, ...options }) => {
      if (mediation !== 'conditional') throw new Error('a question')
      return create(options)
    }`)
  const laptop = await Laptop.open(page)
  await connect(page, demo.notes, person)
  await laptop.touch(false)
  await signOut(page)
  await laptop.signInByTouch(page)
  await page.goto('/activity')
  await expect(page.getByText(/You signed in with a passkey/)).toBeVisible()
})

test('password managers forget a passkey that was removed, and one that no account has', async ({ page, person }) => {
  await withoutUpgrade(page)
  const laptop = await Laptop.open(page)
  await page.goto('/login')
  await fillSignIn(page, person)
  await page.getByRole('button', { name: 'Create a passkey' }).click()
  await expect(page).toHaveURL(/\/dashboard$/)
  await laptop.touch(false)
  await page.goto('/settings/second-factors')
  await expect.poll(() => laptop.signals()).toContain(`updated ${person.username}`)
  await page.getByRole('link', { name: /^Change Chrom/ }).click()
  await page.getByRole('button', { name: /^Remove/ }).click()
  await expect(page).toHaveURL(/\/settings\/second-factors$/)
  await expect.poll(() => laptop.signals()).toContain('deleted')
})

test.describe('without JavaScript', () => {
  test.use({ javaScriptEnabled: false })

  test('nothing is offered', async ({ page, demo, person }) => {
    await connect(page, demo.notes, person)
  })
})
