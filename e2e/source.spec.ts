import { expect, test } from './demo.ts'
import { connect, connectSilently } from './steps.ts'

test('both demo apps lead to the lines of code that do what is on screen', async ({ page, demo, person }) => {
  await page.goto(demo.notes)
  await expect(page.getByRole('link', { name: /^examples\/notes\/sign-in\.ts, lines \d+ to \d+$/ })).toHaveCount(2)

  await connect(page, demo.notes, person)
  await page.getByRole('link', { name: /^examples\/notes\/notes-api\.ts, lines/ }).click()
  await expect(page.locator('#lines')).toContainText('export async function showNotes')
  await page.getByRole('link', { name: 'Back' }).click()
  await expect(page.getByTestId('who')).toHaveText(person.username)

  await connectSilently(page, demo.photos, person)
  await page.getByRole('listitem').filter({ hasText: 'Refresh' }).getByRole('link').click()
  await expect(page.locator('#lines')).toContainText('navigator.locks.request')
})

test('the demo says what to try next, in five steps', async ({ demo }) => {
  const steps = demo.output().match(/^ {4}[1-9]\. .+$/gm)
  expect(steps).toHaveLength(5)
})
