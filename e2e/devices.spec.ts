import * as oauth from 'openid-client'
import type { Page } from '@playwright/test'
import { codeOf } from '../src/testing/portal/totp.ts'
import { type Demo, expect, test } from './demo.ts'
import { appCard, expectNews, fillSignIn, signInAtPortal } from './steps.ts'

test.beforeAll(async ({ demo }) => {
  const listed = (await demo.gatehouse('app', 'list')) as { client_id: string }[]
  if (listed.some((app) => app.client_id === 'television')) return
  await demo.gatehouse('app', 'create', 'television', '--name', 'Television', '--public', '--device')
})

/** A television: openid-client, unmodified. */
async function ask(demo: Demo, more: Record<string, string> = {}) {
  const config = await oauth.discovery(new URL(demo.portal), 'television', {}, oauth.None(), {
    execute: [oauth.allowInsecureRequests],
  })
  const codes = await oauth.initiateDeviceAuthorization(config, { scope: 'openid profile', ...more })
  return { config, codes }
}

/** Adds an authenticator app, and signs out. @returns its key */
async function addTotp(page: Page): Promise<string> {
  await page.goto('/settings/second-factors')
  await page.getByRole('link', { name: 'Add an authenticator app' }).click()
  const key = (await page.locator('code.key').textContent()) ?? ''
  await page.getByLabel('Code').fill(codeOf(key, new Date()))
  await page.getByLabel('Name').fill('Phone')
  await page.getByRole('button', { name: 'Add this app' }).click()
  await expect(page.getByRole('heading', { name: 'Your recovery codes' })).toBeVisible()
  await page.goto('/logout')
  await page.getByRole('button', { name: 'Sign out', exact: true }).click()
  await expectNews(page, 'You are signed out.')
  return key
}

for (const javaScriptEnabled of [true, false]) {
  test.describe(javaScriptEnabled ? 'with JavaScript' : 'without JavaScript', () => {
    test.use({ javaScriptEnabled })

    test('a television is connected with the code that its user types, after two steps of sign-in', async ({
      page,
      demo,
      person,
    }) => {
      await signInAtPortal(page, person)
      const key = await addTotp(page)

      const { config, codes } = await ask(demo, { acr_values: 'mfa' })
      const polled = oauth.pollDeviceAuthorizationGrant(config, codes)
      await page.goto(codes.verification_uri)
      await fillSignIn(page, person)
      await page.getByLabel('Code', { exact: true }).fill(codeOf(key, new Date(), 1))
      await page.getByRole('button', { name: 'Continue' }).click()

      await expect(page.getByRole('heading', { name: 'Connect a device' })).toBeVisible()
      await page.getByLabel('Code').fill('BBBB-BBBB')
      await page.getByRole('button', { name: 'Continue' }).click()
      await expect(page.getByRole('alert')).toContainText('This code is not valid')
      await page.getByLabel('Code').fill(codes.user_code.toLowerCase().replace('-', ' '))
      await page.getByRole('button', { name: 'Continue' }).click()

      await expect(page.getByRole('heading', { name: 'Connect Television on your device?' })).toBeVisible()
      await expect(page.getByText(codes.user_code, { exact: true })).toBeVisible()
      await page.getByRole('button', { name: 'Allow' }).click()
      await expect(page.getByRole('heading', { name: 'Your device is connected' })).toBeVisible()

      const tokens = await polled
      expect(tokens.claims()).toMatchObject({ preferred_username: person.username, acr: 'mfa' })
      await page.goto('/dashboard')
      await expect(appCard(page, 'Television')).toContainText('A device')
      // The browser goes, the television stays.
      await page.goto('/logout')
      await page.getByRole('button', { name: 'Sign out', exact: true }).click()
      await expectNews(page, 'You are signed out.')
      await oauth.refreshTokenGrant(config, tokens.refresh_token ?? '')
    })

    test('a television that its user refuses learns so', async ({ page, demo, person }) => {
      await signInAtPortal(page, person)
      const { config, codes } = await ask(demo)
      await page.goto(codes.verification_uri_complete ?? '')
      await page.getByRole('button', { name: 'Deny' }).click()
      await expect(page.getByRole('heading', { name: 'Your device is not connected' })).toBeVisible()
      await expect(oauth.pollDeviceAuthorizationGrant(config, codes)).rejects.toMatchObject({ error: 'access_denied' })
    })
  })
}
