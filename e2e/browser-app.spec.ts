import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, test } from './demo.ts'
import { fillSignIn } from './steps.ts'

const ROOT = join(import.meta.dirname, '..')
const LIBRARY = '/node_modules/oidc-client-ts/dist/browser/oidc-client-ts.min.js'

/** The printed app in the browser, with another address of the portal and an id of its own. */
const printed = test.extend<{ app: string }>({
  app: async ({ demo }, use) => {
    const html = await readFile(join(ROOT, 'examples/connect/browser.html'), 'utf8')
    const server = createServer((req, res) => {
      const { port } = server.address() as AddressInfo
      const page = html.replace('http://localhost:3000', demo.portal).replace('my-browser-app', `browser-app-${port}`)
      if (req.url === LIBRARY)
        void readFile(ROOT + LIBRARY).then((file) => res.setHeader('Content-Type', 'text/javascript').end(file))
      else res.setHeader('Content-Type', 'text/html').end(page)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const url = `http://127.0.0.1:${port}/`
    const uris = ['--redirect-uri', url, '--post-logout-redirect-uri', url]
    await demo.gatehouse('app', 'create', `browser-app-${port}`, '--name', 'Browser app', '--public', ...uris)
    await use(url)
    server.closeAllConnections()
    server.close()
  },
})

printed('oidc-client-ts signs in, and ends its family as it signs out', async ({ page, person, app, demo }) => {
  await page.goto(app)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await fillSignIn(page, person)
  await expect(page.getByRole('status')).toHaveText(`Signed in as ${person.username}`)
  expect(page.url()).toBe(app)

  const revoked = page.waitForResponse(`${demo.portal}/oauth/revoke`)
  await page.getByRole('button', { name: 'Sign out' }).click()
  expect((await revoked).status()).toBe(200)
  await page.waitForURL(app)
  await expect(page.getByRole('status')).toHaveText('')
  await page.goto(`${demo.portal}/dashboard`)
  await expect(page).toHaveURL(/\/login/)
})
