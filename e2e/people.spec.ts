import { expect, type Person, test } from './demo.ts'
import { addTotp, expectNews, signInAtPortal } from './steps.ts'

test('an operator ends a suspicious sign-in, corrects an address and removes a lost factor', async ({
  page,
  person,
  demo,
  browser,
}) => {
  const colleague = (await demo.gatehouse(
    'user',
    'create',
    '--username',
    `${person.username}-c`,
    '--email',
    `${person.username}-c@example.test`,
  )) as Person
  const stranger = await (await browser.newContext({ baseURL: demo.portal })).newPage()
  await signInAtPortal(stranger, colleague)
  await stranger.goto('/settings/second-factors')
  await addTotp(stranger)
  await expect(stranger.getByRole('heading', { name: 'Your recovery codes' })).toBeVisible()

  await demo.gatehouse('user', 'set-roles', person.username, 'admin')
  await signInAtPortal(page, person)
  await page.goto('/settings/second-factors')
  await addTotp(page)
  await page.goto('/admin/people')
  await page.getByLabel('User name, e-mail address or name begins with').fill(colleague.username.toUpperCase())
  await page.getByRole('button', { name: 'Search' }).click()
  await page.getByRole('link', { name: colleague.username }).click()
  await expect(page.getByRole('heading', { name: colleague.username, level: 1 })).toBeVisible()

  await page
    .getByRole('region', { name: 'Browsers' })
    .getByRole('link', { name: /^Sign .* out of / })
    .first()
    .click()
  await page.getByRole('button', { name: 'Sign out', exact: true }).last().click()
  await expectNews(page, 'The browser is signed out.')
  await expect(page.getByText('Not signed in anywhere.')).toBeVisible()
  await stranger.goto('/dashboard')
  await expect(stranger).toHaveURL(/\/login/)

  await page.getByRole('link', { name: 'Correct' }).click()
  await page.getByRole('textbox', { name: 'E-mail address' }).fill('no address')
  await page.getByRole('button', { name: 'Save' }).click()
  await expect(page.getByRole('alert')).toBeVisible()
  await page.getByRole('textbox', { name: 'E-mail address' }).fill(`${colleague.username}@right.example.test`)
  await page.getByRole('button', { name: 'Save' }).click()
  await expectNews(page, `${colleague.username} is saved.`)
  await expect(page.getByRole('region', { name: 'Who' })).toContainText('not confirmed')

  await page
    .getByRole('region', { name: 'Sign-in methods' })
    .getByRole('link', { name: /Remove the authenticator/ })
    .click()
  await page.getByRole('button', { name: 'Remove' }).click()
  await expectNews(page, 'The sign-in method is removed.')
  await expect(page.getByText('A password alone')).toBeVisible()
  await stranger.context().close()
})
