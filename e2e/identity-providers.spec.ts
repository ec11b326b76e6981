import { createIdentityProvider } from '../src/domain/identity-providers/identity-providers.ts'
import { notesApp } from '../src/testing/portal/apps.ts'
import { ada } from '../src/testing/portal/people.ts'
import { startTestServer } from '../src/testing/portal/server.ts'
import { expect, test } from './demo.ts'
import { fillSignIn } from './steps.ts'

/** Two portals: users of the first sign in with their accounts at the second. */
const portals = test.extend<{ here: string }>({
  here: async ({ person }, use) => {
    const [here, there] = await Promise.all([startTestServer(), startTestServer()])
    const user = { ...ada, ...person }
    await here.addIdentity(user, { emailVerified: true })
    await there.addIdentity(user, { emailVerified: true })
    const redirectUris = [`${here.url}/login/with/there/callback`]
    const clientSecret = await there.addApp('here', { ...notesApp, name: 'Here', redirectUris })
    await createIdentityProvider(here.services, 'there', {
      name: 'There',
      issuer: there.url,
      clientId: 'here',
      clientSecret,
    })
    await use(here.url)
    await Promise.all([here.close(), there.close()])
  },
})

portals(
  'a user signs in with an account at another portal, once both are proved, and disconnects it',
  async ({ page, here, person }) => {
    await page.goto(`${here}/login`)
    await page.getByRole('button', { name: 'Continue with There' }).click()
    await fillSignIn(page, person)

    await expect(page).toHaveURL(`${here}/login/connection`)
    await expect(page.getByText('You have an account here already.')).toBeVisible()
    await fillSignIn(page, person)
    await expect(page.getByText('Your There account is connected.')).toBeVisible()

    await page.getByRole('button', { name: 'Sign out', exact: true }).click()
    await page.getByRole('button', { name: 'Continue with There' }).click()
    await expect(page).toHaveURL(`${here}/dashboard`)

    await page.goto(`${here}/settings`)
    await page.getByRole('link', { name: 'Change your connected accounts' }).click()
    await page.getByRole('button', { name: 'Disconnect There' }).click()
    await expect(page.getByText('Your There account is disconnected.')).toBeVisible()
  },
)
