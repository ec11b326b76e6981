import type { Page } from '@playwright/test'
import { ada } from '../src/testing/portal/people.ts'
import { startTestServer } from '../src/testing/portal/server.ts'
import { expect, test } from './demo.ts'
import { fillSignIn } from './steps.ts'

/**
 * The portal of the demo and one with another database, on two ports of localhost, with an account of the same name at each.
 */
const portals = test.extend<{ here: string; there: string }>({
  here: async ({ demo }, use) => use(demo.portal),
  there: async ({ person }, use) => {
    const server = await startTestServer()
    await server.addIdentity({ ...ada, ...person })
    await use(server.url)
    await server.close()
  },
})

portals('two portals on one host do not sign each other out', async ({ page, here, there, person }) => {
  expect(new URL(here).hostname).toBe(new URL(there).hostname)
  for (const [first, second] of [
    [here, there],
    [there, here],
  ] as const) {
    await signIn(page, first, person)
    await page.goto(`${second}/login`)
    await fillSignIn(page, { ...person, password: 'not the right one' })
    await expect(page.getByRole('alert')).toBeVisible()
    await expectSignedIn(page, first)
    await signIn(page, second, person)
    await expectSignedIn(page, first)
    await expectSignedIn(page, second)

    await signOut(page, second)
    await expectSignedIn(page, first)
    await signIn(page, second, person)
    await signOut(page, first)
    await expectSignedIn(page, second)
    await signOut(page, second)
  }
})

async function signIn(page: Page, portal: string, person: { username: string; password: string }): Promise<void> {
  await page.goto(`${portal}/login`)
  await fillSignIn(page, person)
  await expect(page).toHaveURL(`${portal}/dashboard`)
}

async function expectSignedIn(page: Page, portal: string): Promise<void> {
  await page.goto(`${portal}/dashboard`)
  await expect(page).toHaveURL(`${portal}/dashboard`)
}

async function signOut(page: Page, portal: string): Promise<void> {
  await expectSignedIn(page, portal)
  await page.getByRole('button', { name: 'Sign out', exact: true }).click()
  await expect(page.getByText('You are signed out.')).toBeVisible()
  await page.goto(`${portal}/dashboard`)
  await expect(page).toHaveURL(new RegExp(`^${portal}/login`))
}
