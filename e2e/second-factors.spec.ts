import { readFileSync } from 'node:fs'
import type { Page } from '@playwright/test'
import { codeOf } from '../src/testing/portal/totp.ts'
import { type Demo, expect, type Person, test } from './demo.ts'
import { Laptop } from './laptop.ts'
import { addTotp, askFromNotes, connect, expectConnected, expectNews, fillSignIn, signInAtPortal } from './steps.ts'

const FACTORS = '/settings/second-factors'

/** A user signs in and sets up a passkey on their laptop; the recovery codes are still on the page. */
async function openLaptop(page: Page, person: Person): Promise<Laptop> {
  await signInAtPortal(page, person)
  // Only now, so that the sign-in does not offer one.
  const laptop = await Laptop.open(page)
  await addPasskey(page)
  await keepRecoveryCodes(page)
  return laptop
}

async function addPasskey(page: Page, name = 'Laptop') {
  await page.goto(FACTORS)
  await page.getByRole('link', { name: 'Add a passkey' }).click()
  await page.getByLabel('Name').fill(name)
  await page.getByRole('button', { name: 'Create a passkey' }).click()
}

async function keepRecoveryCodes(page: Page): Promise<string[]> {
  await expect(page.getByRole('heading', { name: 'Your recovery codes' })).toBeVisible()
  await expect(page.getByRole('listitem')).toHaveCount(10)
  const codes = await page.getByRole('listitem').allTextContents()
  return codes.map((code) => code.trim())
}

async function signOut(page: Page) {
  await page.goto('/logout')
  await page.getByRole('button', { name: 'Sign out', exact: true }).click()
  await expectNews(page, 'You are signed out.')
}

async function expectSecondStep(page: Page, person: Person) {
  await expect(page.getByRole('heading', { name: 'Two-step verification' })).toBeVisible()
  await expect(page.getByText(`Account: ${person.username}`)).toBeVisible()
}

/** The next code: the one that proved the key is used up. */
async function fillCode(page: Page, key: string) {
  await page.getByLabel('Code', { exact: true }).fill(codeOf(key, new Date(), 1))
  await page.getByRole('button', { name: 'Continue' }).click()
}

test('a passkey signs in after the password, and is told apart when one device is asked for two', async ({
  page,
  person,
}) => {
  const laptop = await openLaptop(page, person)
  await page.getByRole('link', { name: 'I have saved them' }).click()
  await expect(page.getByRole('listitem').filter({ hasText: 'Laptop' })).toContainText('Passkey')
  await addPasskey(page, 'Laptop again')
  await expect(page.getByRole('alert')).toHaveText('This device has a passkey of your account already.')

  // Without the user's touch, the sign-in page offers nothing by itself.
  await laptop.touch(false)
  await signOut(page)
  await page.goto('/login')
  await fillSignIn(page, person)
  await expectSecondStep(page, person)
  await page.goto('/dashboard')
  await expect(page).toHaveURL(/\/login/)

  await page.goto('/login/second-factor')
  await laptop.touch(true)
  await page.getByRole('button', { name: 'Use a passkey' }).click()
  await expect(page).toHaveURL(/\/dashboard$/)
  await page.goto('/activity')
  await expect(page.getByText('The passkey “Laptop” was added.')).toBeVisible()
})

const SIMPLE_KEY = {
  transport: 'usb',
  hasResidentKey: false,
  hasUserVerification: false,
  isUserVerified: false,
} as const

for (const protocol of ['ctap2', 'u2f'] as const) {
  test(`a ${protocol} security key without discoverable credentials is a second step only`, async ({
    page,
    person,
  }) => {
    await Laptop.open(page, { protocol, ...SIMPLE_KEY })
    await signInAtPortal(page, person)
    await addPasskey(page, 'Key')
    await keepRecoveryCodes(page)
    await page.goto(FACTORS)
    await expect(page.getByRole('listitem').filter({ hasText: 'Key' }).first()).toContainText('Security key')
    await addPasskey(page, 'Key again')
    await expect(page.getByRole('alert')).toHaveText('This device has a passkey of your account already.')

    await signOut(page)
    await page.goto('/login')
    await fillSignIn(page, person)
    await expectSecondStep(page, person)
    await page.getByRole('button', { name: 'Use a passkey or security key' }).click()
    await expect(page).toHaveURL(/\/dashboard$/)
  })
}

for (const [name, words] of [
  ['NotAllowedError', 'That was cancelled, or took too long. You can try again.'],
  ['InvalidStateError', 'This device has a passkey of your account already.'],
  ['NotSupportedError', 'This device or security key cannot be used here.'],
  ['ConstraintError', 'This device or security key cannot be used here.'],
  ['SecurityError', 'Passkeys do not work at this address. Open the page at its usual address.'],
  ['UnknownError', 'Your browser could not do that.'],
] as const) {
  test(`the page that adds a passkey says what ${name} means`, async ({ page, person }) => {
    await page.addInitScript(`navigator.credentials.create = async () => { throw new DOMException('', '${name}') }`)
    await signInAtPortal(page, person)
    await addPasskey(page)
    await expect(page.getByRole('alert')).toHaveText(words)
  })
}

test('a passkey alone signs in its user at the press of a button', async ({ page, demo, person }) => {
  const laptop = await openLaptop(page, person)
  await laptop.touch(false)
  await signOut(page)

  await page.goto(demo.notes)
  await page.getByRole('button', { name: 'Sign in with Gatehouse' }).click()
  await expect(page.getByText('to continue to Notes')).toBeVisible()
  await laptop.recognise(false)
  await laptop.touch(true)
  await page.getByRole('button', { name: 'Use a passkey' }).click()
  await expect(page.getByRole('alert').filter({ hasText: 'cancelled' })).toHaveText(
    'That was cancelled, or took too long. You can try again.',
  )
  await laptop.recognise(true)
  await page.getByRole('button', { name: 'Use a passkey' }).click()
  await expectConnected(page, demo.notes, person)
})

test('a browser offers its passkey among the user names, and picking it signs in', async ({ page, person }) => {
  const laptop = await openLaptop(page, person)
  await laptop.touch(false)
  await signOut(page)
  await expect(page.getByLabel('User name or e-mail')).toHaveAttribute('autocomplete', 'username webauthn')
  // Chromium picks the only passkey as soon as the user touches the device; no button is pressed.
  await laptop.signInByTouch(page)
})

test('a browser that is trusted, with a code or a passkey, signs in with the password alone', async ({
  page,
  person,
}) => {
  const laptop = await openLaptop(page, person)
  await page.goto(FACTORS)
  const key = await addTotp(page)
  await laptop.touch(false)

  const trust = async (finish: () => Promise<void>) => {
    await page.context().clearCookies({ name: 'device' })
    await signOut(page)
    await page.goto('/login')
    await fillSignIn(page, person)
    await expectSecondStep(page, person)
    await page.getByLabel('Trust this browser for 30 days').check()
    await finish()
    await expect(page).toHaveURL(/\/dashboard$/)
    await signOut(page)
    await signInAtPortal(page, person)
  }
  await trust(async () => {
    await fillCode(page, key)
    // The portal does not know the browser any more, so it offers a passkey for it.
    await page.getByRole('link', { name: 'Not now' }).click()
  })
  await trust(async () => {
    await laptop.touch(true)
    await page.getByRole('button', { name: 'Use a passkey or security key' }).click()
    await expect(page).toHaveURL(/\/dashboard$/)
    await laptop.touch(false)
  })

  await page.goto(FACTORS)
  await expect(page.getByRole('heading', { name: 'Confirm that it is you' })).toBeVisible()
})

test('recovery codes are copied and downloaded', async ({ page, person, context }) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write'])
  await signInAtPortal(page, person)
  await page.goto(FACTORS)
  await addTotp(page)
  const codes = await keepRecoveryCodes(page)
  await page.getByRole('button', { name: 'Copy' }).click()
  await expect(page.getByRole('status')).toHaveText('The codes were copied.')
  expect((await page.evaluate<string>('navigator.clipboard.readText()')).trim().split('\n')).toEqual(codes)
  await expect(page.getByRole('button', { name: 'Print' })).toBeVisible()
  const waiting = page.waitForEvent('download')
  await page.getByRole('button', { name: 'Download' }).click()
  const file = readFileSync(await (await waiting).path(), 'utf8')
  expect(file.split('\r\n').filter((line) => codes.includes(line))).toEqual(codes)
})

test('an app asks for two factors, and a user signed in with one steps up on the way', async ({
  page,
  browser,
  demo,
  person,
}) => {
  await connect(page, demo.notes, person)
  const elsewhere = await (await browser.newContext({ baseURL: demo.portal })).newPage()
  await signInAtPortal(elsewhere, person)
  await elsewhere.goto(FACTORS)
  const key = await addTotp(elsewhere)
  await keepRecoveryCodes(elsewhere)
  await elsewhere.context().close()

  await askFromNotes(page, demo, { acr_values: 'mfa' })
  await expect(page.getByText('Notes asks for two-step verification.')).toBeVisible()
  await page.getByLabel('Code', { exact: true }).fill('000000')
  await page.getByRole('button', { name: 'Continue' }).click()
  await expect(page.getByRole('alert')).toContainText('That code is not right')
  await fillCode(page, key)
  await expectConnected(page, demo.notes, person)

  // From here on, the second factor is proved.
  await askFromNotes(page, demo, { acr_values: 'mfa', prompt: 'none' })
  await expectConnected(page, demo.notes, person)
})

test('a user without a second factor sets one up on the way to the app that asks for it', async ({
  page,
  demo,
  person,
}) => {
  await connect(page, demo.notes, person)
  await askFromNotes(page, demo, { acr_values: 'mfa' })
  await expect(page.getByRole('heading', { name: 'Two-step verification is needed' })).toBeVisible()
  await page.getByRole('link', { name: 'Set up two-step verification' }).click()
  await addTotp(page)
  await keepRecoveryCodes(page)
  await page.getByRole('link', { name: 'I have saved them, continue to Notes' }).click()
  await expectConnected(page, demo.notes, person)
})

test.describe('without JavaScript', () => {
  test.use({ javaScriptEnabled: false })

  test('an app and recovery codes do all that is needed', async ({ page, demo, person }) => {
    await signInAtPortal(page, person)
    await page.goto('/settings')
    await page.getByRole('link', { name: 'Change your sign-in methods' }).click()
    const key = await addTotp(page)
    const codes = await keepRecoveryCodes(page)
    await page.getByRole('link', { name: 'I have saved them' }).click()
    await expect(page.getByRole('listitem').filter({ hasText: 'Phone' })).toContainText('Authenticator app')
    await expect(page.getByText('10 codes left')).toBeVisible()

    await signOut(page)
    await connectHalfway(page, demo, person)
    await expect(page.getByRole('button', { name: 'Use a passkey' })).toBeHidden()
    await fillCode(page, key)
    await expectConnected(page, demo.notes, person)

    await signOut(page)
    await connectHalfway(page, demo, person)
    await page.getByText('Use a recovery code instead').click()
    await page.getByLabel('Recovery code').fill(codes[0] ?? '')
    await page.getByRole('button', { name: 'Use this recovery code' }).click()
    await expectConnected(page, demo.notes, person)

    await page.goto('/dashboard')
    await expect(page.getByRole('status')).toHaveText('You used a recovery code. You have 9 left.')
    await page.goto(FACTORS)
    await expect(page.getByText('9 codes left')).toBeVisible()
    await page.getByRole('link', { name: 'Add a passkey' }).click()
    await expect(page.getByText('Passkeys need JavaScript, and a browser that has them.')).toBeVisible()
    await page.getByRole('link', { name: 'Cancel' }).click()
    await page.getByRole('link', { name: 'Change Phone' }).click()
    await expect(page.getByText('This turns two-step verification off.')).toBeVisible()
    await page.getByRole('button', { name: 'Remove it and turn two-step verification off' }).click()
    await expect(page.getByRole('status')).toHaveText(
      'Two-step verification is off. From now on, your password alone signs you in.',
    )
    for (const secret of [key, key.replaceAll(' ', ''), ...codes]) expect(demo.output()).not.toContain(secret)
  })
})

async function connectHalfway(page: Page, demo: Demo, person: Person) {
  await page.goto(demo.notes)
  // Notes learns of the sign-out when it next refreshes, so this starts again.
  await page.context().clearCookies({ domain: new URL(demo.notes).hostname })
  await page.goto(demo.notes)
  await page.getByRole('button', { name: 'Sign in with Gatehouse' }).click()
  await fillSignIn(page, person)
  await expectSecondStep(page, person)
}
