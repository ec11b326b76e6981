import { expect, test } from './demo.ts'
import { A_LOOK, fillSignIn, openForm } from './steps.ts'

test('a user without access reads so, gets in once a role is given, and is out when it is taken away', async ({
  page,
  demo,
  person,
}) => {
  await demo.gatehouse('app', 'update', 'notes', '--allow-role', 'gardener')
  try {
    await openForm(page, demo.notes)
    await fillSignIn(page, person)
    await expect(page.getByRole('heading', { name: 'You have no access to Notes' })).toBeVisible()

    await demo.gatehouse('user', 'set-roles', person.username, 'gardener')
    await page.reload()
    await expect(page.getByRole('heading', { name: `Hello ${person.username}` })).toBeVisible()

    await demo.gatehouse('user', 'set-roles', person.username)
    await expect(async () => {
      const ask = page.getByRole('button', { name: 'Ask the Notes API' })
      if (await ask.isVisible()) await ask.click()
      await expect(page.getByRole('heading', { name: 'Notes was disconnected' })).toBeVisible({ timeout: A_LOOK })
    }).toPass()
  } finally {
    await demo.gatehouse('app', 'update', 'notes', '--access', 'everyone', '--allow-role', '')
  }
})
