import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, test } from './demo.ts'
import { fillSignIn } from './steps.ts'

const ROOT = join(import.meta.dirname, '..')
const LIBRARY = '/node_modules/oidc-client-ts/dist/browser/oidc-client-ts.min.js'

/** A browser app with oidc-client-ts: its page comes from a server of its own, and it is registered. */
function appWith(pageFor: (portal: string, clientId: string) => Promise<string>) {
  return test.extend<{ app: string }>({
    app: async ({ demo }, use) => {
      const server = createServer()
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      const { port } = server.address() as AddressInfo
      const id = `browser-app-${port}`
      const [page, library] = await Promise.all([pageFor(demo.portal, id), readFile(ROOT + LIBRARY)])
      server.on('request', (req, res) => {
        if (req.url === LIBRARY) res.setHeader('Content-Type', 'text/javascript').end(library)
        else res.setHeader('Content-Type', 'text/html').end(page)
      })
      const url = `http://127.0.0.1:${port}/`
      const uris = ['--redirect-uri', url, '--post-logout-redirect-uri', url]
      await demo.gatehouse('app', 'create', id, '--name', 'Browser app', '--public', ...uris)
      await use(url)
      server.closeAllConnections()
      server.close()
    },
  })
}

/** The app from the documentation, with another portal URL and client id. */
const printed = appWith(async (portal, clientId) => {
  const html = await readFile(join(ROOT, 'examples/connect/browser.html'), 'utf8')
  return html.replace('http://localhost:3000', portal).replace('my-browser-app', clientId)
})

printed('oidc-client-ts signs in, and ends its family as it signs out', async ({ page, person, app, demo }) => {
  await page.goto(app)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await fillSignIn(page, person)
  await expect(page.getByRole('status')).toHaveText(`Signed in as ${person.username}`)
  await expect(page).toHaveURL(app)

  const revoked = page.waitForResponse(`${demo.portal}/oauth/revoke`)
  await page.getByRole('button', { name: 'Sign out' }).click()
  expect((await revoked).status()).toBe(200)
  await page.waitForURL(app)
  await expect(page.getByRole('status')).toHaveText('')
  await page.goto(`${demo.portal}/dashboard`)
  await expect(page).toHaveURL(/\/login/)
})

/** One that signs in in a popup, has DPoP-bound tokens (RFC 9449), and revokes what the library revokes by default. */
const bound = appWith(
  async (portal, clientId) => `<!doctype html><title>Browser app</title><p role="status"></p>
<button id="sign-in">Sign in</button><button id="renew">Renew</button><button id="profile">Profile</button><button id="sign-out">Sign out</button>
<script src="${LIBRARY}"></script>
<script type="module">
  const here = location.origin + location.pathname
  const users = new oidc.UserManager({
    authority: '${portal}', client_id: '${clientId}', redirect_uri: here, post_logout_redirect_uri: here, scope: 'openid profile',
    dpop: { bind_authorization_code: true, store: new oidc.IndexedDbDPoPStore() }, revokeTokensOnSignout: true,
  })
  const say = (words) => (document.querySelector('p').textContent = words)
  const act = (id, then) => (document.getElementById(id).onclick = () => then().catch((error) => say(String(error))))
  if (opener) await users.signinPopupCallback()
  act('sign-in', async () => {
    const user = await users.signinPopup()
    say(user.token_type + ' tokens of ' + user.profile.preferred_username)
  })
  act('renew', async () => {
    const before = await users.getUser()
    const after = await users.signinSilent()
    say(after.token_type + ' tokens ' + (after.refresh_token === before.refresh_token ? 'as before' : 'renewed'))
  })
  act('profile', async () => {
    const user = await users.getUser()
    const url = '${portal}/oauth/userinfo'
    const headers = { Authorization: 'DPoP ' + user.access_token }
    const unproved = await fetch(url, { headers })
    const proved = await fetch(url, { headers: { ...headers, DPoP: await users.dpopProof(url, user, 'GET') } })
    say((unproved.ok ? 'taken' : 'refused') + ' without a proof, with one ' + (await proved.json()).preferred_username)
  })
  act('sign-out', () => users.signoutRedirect())
</script>`,
)

bound('oidc-client-ts signs in in a popup, with DPoP, and revokes both tokens', async ({ page, person, app, demo }) => {
  await page.goto(app)
  const status = page.getByRole('status')
  const opened = page.waitForEvent('popup')
  await page.getByRole('button', { name: 'Sign in' }).click()
  const popup = await opened
  const closed = popup.waitForEvent('close')
  await fillSignIn(popup, person)
  await closed
  await expect(status).toHaveText(`DPoP tokens of ${person.username}`)
  await page.getByRole('button', { name: 'Renew' }).click()
  await expect(status).toHaveText('DPoP tokens renewed')
  await page.getByRole('button', { name: 'Profile' }).click()
  await expect(status).toHaveText(`refused without a proof, with one ${person.username}`)

  const revocations: number[] = []
  page.on('response', (response) => {
    if (response.url() === `${demo.portal}/oauth/revoke`) revocations.push(response.status())
  })
  const left = page.waitForRequest((request) => request.url().startsWith(`${demo.portal}/oauth/logout`))
  await page.getByRole('button', { name: 'Sign out' }).click()
  await left
  await page.waitForURL(app)
  await expect(status).toHaveText('')
  await expect.poll(() => revocations).toEqual([200, 200])
  await page.goto(`${demo.portal}/dashboard`)
  await expect(page).toHaveURL(/\/login/)
})
