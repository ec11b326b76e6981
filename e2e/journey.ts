import type { Page } from '@playwright/test'
import { type Demo, expect, type Person } from './demo.ts'
import {
  A_LOOK,
  appCard,
  expectConnected,
  expectDisconnected,
  expectNoSignIn,
  openEnded,
  refresh,
  removeApp,
} from './steps.ts'

/** From "I have no account" to "this app is disconnected, and knows it". */
export async function travel(page: Page, demo: Demo, newcomer: Person) {
  await arrive(page, demo, newcomer)
  await refreshByItself(page, demo)
  await leave(page, demo, newcomer)
}

export async function arrive(page: Page, demo: Demo, newcomer: Person) {
  await page.goto(demo.notes)
  await page.getByRole('button', { name: 'Sign in with Gatehouse' }).click()
  await expect(page.getByText('to continue to Notes')).toBeVisible()
  await page.getByRole('link', { name: 'Create an account' }).click()
  await expect(page.getByText('to continue to Notes')).toBeVisible()
  await page.getByLabel('User name').fill(newcomer.username)
  await page.getByLabel('E-mail').fill(newcomer.email)
  await page.getByLabel('Password', { exact: true }).fill(newcomer.password)
  await page.getByLabel('Password again').fill(newcomer.password)
  await page.getByRole('button', { name: 'Create account' }).click()
  await expectConnected(page, demo.notes, newcomer)

  const family = (await page.getByTestId('fam').textContent()) ?? ''
  await page.getByRole('button', { name: 'Ask the Notes API' }).click()
  await expect(page.getByTestId('api-result')).toContainText('200')
  await expect(page.getByTestId('api-result')).toContainText(family)

  await refresh(page)
  await refresh(page)
  await expect(page.getByTestId('fam')).toHaveText(family)
}

export async function leave(page: Page, demo: Demo, person: Person) {
  const family = (await page.getByTestId('fam').textContent()) ?? ''
  const count = (await page.getByTestId('refreshes').textContent()) ?? ''
  await page.getByRole('link', { name: 'Your dashboard at Gatehouse' }).click()
  const notes = appCard(page, 'Notes')
  await expect(notes.getByRole('link', { name: 'Open Notes' })).toHaveAttribute('href', demo.notes)
  const row = notes.getByRole('listitem').filter({ hasText: 'this browser' })
  await expect(row).toContainText('Chrome')
  await expect(row).toContainText('127.0.0.1')
  await row.getByRole('link', { name: /^Details of the sign-in to Notes/ }).click()
  await expect(page.getByText(`Notes renewed its access ${count} times.`)).toBeVisible()
  await page.goBack()

  await removeApp(page, 'Notes')
  await expectNoSignIn(page, 'Notes')
  await expect(await openEnded(page, 'Notes', 1)).toContainText('you removed the app, from Chrome')

  await expectDisconnected(page, demo.notes, 'Notes')
  await expect(page.getByTestId('reference')).toHaveText(family)
  await page.getByRole('link', { name: 'What happened, at Gatehouse' }).click()
  await expect(page.getByRole('heading', { name: 'Sign-in to Notes' })).toBeVisible()
  await expect(
    page.getByRole('listitem').filter({ hasText: 'It ended: you removed the app, from Chrome' }),
  ).toBeVisible()
  await expect(page.getByText(family)).toBeVisible()

  await page.goto(demo.notes)
  await page.getByRole('button', { name: 'Sign in again' }).click()
  await expectConnected(page, demo.notes, person)
  await expect(page.getByTestId('fam')).not.toHaveText(family)
}

/** Notes refreshes when it needs its token and less than half of a short life is left. */
async function refreshByItself(page: Page, demo: Demo) {
  await demo.gatehouse('app', 'update', 'notes', '--application-token-ttl', '10')
  await refresh(page)
  const before = Number(await page.getByTestId('refreshes').textContent())
  await demo.gatehouse('app', 'update', 'notes', '--application-token-ttl', '300')
  await expect(async () => {
    await page.reload()
    await expect(page.getByTestId('refreshes')).toHaveText(String(before + 1), { timeout: A_LOOK })
  }).toPass({ intervals: [250] })
}
