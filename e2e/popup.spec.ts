import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from './demo.ts'
import { fillSignIn } from './steps.ts'

/** An app on another origin that signs users in in a popup, which answers it. */
const board = test.extend<{ board: string }>({
  board: async ({ demo }, use) => {
    const server = createServer((req, res) => {
      const isCallback = req.url?.startsWith('/callback') === true
      res.setHeader('Content-Type', 'text/html').end(isCallback ? CALLBACK : pageFor(demo.portal))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const id = `board-${(server.address() as AddressInfo).port}`
    await demo.gatehouse('app', 'create', id, '--name', 'Board', '--public', '--redirect-uri', `${origin}/callback`)
    await use(`${origin}/?${id}`)
    server.closeAllConnections()
    server.close()
  },
})

const CALLBACK = `<!doctype html><title>Board</title>
<script>opener.postMessage(location.search, location.origin); close()</script>`

function pageFor(portal: string): string {
  const challenge = createHash('sha256').update(randomBytes(32).toString('base64url')).digest('base64url')
  return `<!doctype html><title>Board</title><button>Sign in</button><output></output><script>
    const query = new URLSearchParams({ client_id: location.search.slice(1), redirect_uri: location.origin + '/callback',
      response_type: 'code', scope: 'openid', code_challenge: '${challenge}', code_challenge_method: 'S256' })
    document.querySelector('button').onclick = () => open('${portal}/oauth/authorize?' + query, 'sign-in', 'popup')
    onmessage = ({ data }) => { document.querySelector('output').textContent = data }
  </script>`
}

board(
  'an app is answered by the popup it opened, after a page and without one',
  async ({ page, person, board: app }) => {
    await page.goto(app)
    const opened = page.waitForEvent('popup')
    await page.getByRole('button', { name: 'Sign in' }).click()
    const popup = await opened
    await fillSignIn(popup, { ...person, password: 'not the right one' })
    await expect(popup.getByRole('alert')).toBeVisible()
    const closed = popup.waitForEvent('close')
    await fillSignIn(popup, person)
    await closed
    await expect(page.getByRole('status')).toHaveText(/[?]code=/)

    await page.goto(app)
    const again = page.waitForEvent('popup')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await (await again).waitForEvent('close').catch(() => {})
    await expect(page.getByRole('status')).toHaveText(/[?]code=/)
  },
)
