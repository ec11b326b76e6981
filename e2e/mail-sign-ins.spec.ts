import { randomBytes } from 'node:crypto'
import { expect, test } from './demo.ts'
import { expectConnected, followMail, openForm } from './steps.ts'

test.use({ settings: { MAIL_SIGN_IN: 'true' } })

for (const javaScriptEnabled of [true, false]) {
  test.describe(javaScriptEnabled ? 'with JavaScript' : 'without JavaScript', () => {
    test.use({ javaScriptEnabled })

    test('a link in a mail signs in to the app, in the browser that asked for it alone', async ({
      page,
      browser,
      demo,
    }) => {
      const username = `linked-${randomBytes(4).toString('hex')}`
      const email = `${username}@example.test`
      await demo.gatehouse('user', 'create', '--username', username, '--email', email, '--email-verified')

      await openForm(page, demo.notes)
      await page.getByRole('link', { name: 'E-mail me a sign-in link' }).click()
      await expect(page.getByText('to continue to Notes')).toBeVisible()
      await page.getByRole('button', { name: 'Send the link' }).click()
      await expect(page.getByRole('alert')).toContainText('Enter your user name')
      await page.getByLabel('User name or e-mail').fill(username)
      await page.getByRole('button', { name: 'Send the link' }).click()
      await expect(page.getByRole('heading', { name: 'Check your e-mail' })).toBeVisible()

      const elsewhere = await (await browser.newContext({ baseURL: demo.portal })).newPage()
      await followMail(elsewhere, 'Your sign-in link for Gatehouse', email)
      await expect(elsewhere.getByRole('heading', { name: 'Open this link in the other browser' })).toBeVisible()
      await elsewhere.context().close()

      await followMail(page, 'Your sign-in link for Gatehouse', email)
      await expect(page.getByText(`as ${username}, to continue to Notes`)).toBeVisible()
      await page.getByRole('button', { name: 'Sign in', exact: true }).click()
      await expectConnected(page, demo.notes, { username })
      await page.goto('/activity')
      await expect(page.getByText(/You signed in with a link/)).toBeVisible()
    })
  })
}
