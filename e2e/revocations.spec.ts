import { randomBytes } from 'node:crypto'
import type { Page } from '@playwright/test'
import { type Demo, expect, test } from './demo.ts'
import { A_LOOK, connect, connectSilently, expectNoSignIn, openFamily, removeApp, signInAtPortal } from './steps.ts'

test('the Notes API refuses a token after the end of its family', async ({ page, demo, person }) => {
  await signInAtPortal(page, person)
  const token = await tokenForNotes(page, demo)
  expect((await askNotes(demo, token)).status).toBe(200)

  await page.reload()
  await page.getByRole('button', { name: /^Sign out of Probe in / }).click()
  await expect(page.getByRole('status')).toHaveText('You are signed out of the app in that browser.')
  await expect
    .poll(async () => askNotes(demo, token), { intervals: [20] })
    .toMatchObject({ status: 401, error: 'invalid_token', error_description: 'the family of this token has ended' })
})

test('a change of roles makes Notes refresh once and go on', async ({ page, demo, person }) => {
  await connect(page, demo.notes, person)
  await page.getByRole('button', { name: 'Ask the Notes API' }).click()
  await expect(page.getByTestId('api-result')).toContainText('200')
  await expect(page.getByTestId('refreshes')).toHaveText('0')

  await demo.gatehouse('user', 'set-roles', person.username, 'gardener')
  await expect(async () => {
    await page.getByRole('button', { name: 'Ask the Notes API' }).click()
    await expect(page.getByTestId('refreshes')).toHaveText('1', { timeout: A_LOOK })
  }).toPass()
  await expect(page.getByTestId('api-result')).toContainText('200')
  await expect(page.getByRole('row', { name: 'roles' })).toContainText('gardener')
})

test('Notes says that it was disconnected as soon as its API is asked', async ({ page, demo, person }) => {
  await signInAtPortal(page, person)
  await connectSilently(page, demo.notes, person)
  await page.goto('/dashboard')
  await removeApp(page, 'Notes')
  await expectNoSignIn(page, 'Notes')
  await page.goto(demo.notes)
  await expect(async () => {
    const ask = page.getByRole('button', { name: 'Ask the Notes API' })
    if (await ask.isVisible()) await ask.click()
    await expect(page.getByRole('heading', { name: 'Notes was disconnected' })).toBeVisible({ timeout: A_LOOK })
  }).toPass()
})

async function askNotes(demo: Demo, token: string): Promise<Record<string, unknown>> {
  const answer = await fetch(new URL('/api/notes', demo.notes), { headers: { authorization: `Bearer ${token}` } })
  return { status: answer.status, ...((await answer.json()) as object) }
}

/** An application token of another app for the audience of Notes. */
async function tokenForNotes(page: Page, demo: Demo): Promise<string> {
  const redirectUri = 'https://probe.example.test/'
  const clientId = `probe-${randomBytes(4).toString('hex')}`
  const kind = ['--public', '--audience', new URL('/apps/notes', demo.portal).href]
  await demo.gatehouse('app', 'create', clientId, '--name', 'Probe', '--redirect-uri', redirectUri, ...kind)
  return openFamily(page, clientId, redirectUri)
}
