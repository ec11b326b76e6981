import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Demo, expect, test } from './demo.ts'
import { appCard, expectNoSignIn, fillSignIn, signInAtPortal } from './steps.ts'

/** Desk, a native app: it listens on a port of its own during a sign-in. */
const desk = test.extend<{ answers: URLSearchParams[]; redirectUri: string }>({
  answers: async ({}, use) => use([]),
  redirectUri: async ({ answers }, use) => {
    const server: Server = createServer((req, res) => {
      const url = new URL(req.url ?? '', 'http://desk')
      if (url.pathname === '/callback') answers.push(url.searchParams)
      res.setHeader('Content-Type', 'text/html').end('<!doctype html><title>Desk</title><h1>Back to Desk</h1>')
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}/callback`)
    server.closeAllConnections()
    server.close()
  },
})

desk.beforeAll(async ({ demo }) => {
  const listed = (await demo.gatehouse('app', 'list')) as { client_id: string }[]
  if (listed.some((app) => app.client_id === 'desk')) return
  const words = ['app', 'create', 'desk', '--name', 'Desk', '--native', '--redirect-uri', 'http://127.0.0.1/callback']
  await demo.gatehouse(...words)
})

desk(
  'an app on the device gets its code after a visible confirmation',
  async ({ page, request, demo, person, answers, redirectUri }) => {
    const verifier = randomBytes(32).toString('base64url')
    await page.goto(authorizationUrl(demo, redirectUri, verifier))
    await expect(page.getByText('to continue to Desk')).toBeVisible()
    await fillSignIn(page, person)

    await expect(page.getByRole('heading', { name: 'Continue to Desk?' })).toBeVisible()
    await expect(page.getByText(`asks to sign you in as ${person.username}`)).toBeVisible()
    await expect(page.getByRole('definition')).toHaveText(new URL(redirectUri).host)
    expect(answers).toEqual([])
    await page.getByRole('button', { name: 'Continue to Desk' }).click()
    await expect(page.getByRole('heading', { name: 'Back to Desk' })).toBeVisible()

    expect(Object.fromEntries(answers[0] ?? [])).toEqual({ code: expect.any(String), state: 'here', iss: demo.portal })
    const tokens = await request.post('/oauth/token', {
      form: {
        grant_type: 'authorization_code',
        client_id: 'desk',
        redirect_uri: redirectUri,
        code: answers[0]?.get('code') ?? '',
        code_verifier: verifier,
      },
    })
    expect(tokens.status()).toBe(200)
    await page.goto('/dashboard')
    await expect(appCard(page, 'Desk')).toContainText('this browser')
  },
)

desk(
  'being signed in is not enough, and "Cancel" sends no code',
  async ({ page, demo, person, answers, redirectUri }) => {
    await signInAtPortal(page, person)
    await page.goto(authorizationUrl(demo, redirectUri, 'a verifier that is never needed again'))
    await page.getByRole('button', { name: 'Cancel' }).click()
    await expect(page.getByRole('heading', { name: 'Back to Desk' })).toBeVisible()

    expect(answers[0]?.get('error')).toBe('access_denied')
    expect(answers[0]?.get('state')).toBe('here')
    expect(answers[0]?.has('code')).toBe(false)
    await page.goto('/dashboard')
    await expect(page.getByRole('heading', { name: 'More apps you can open' })).toBeVisible()
    await expectNoSignIn(page, 'Desk')
  },
)

function authorizationUrl(demo: Demo, redirectUri: string, verifier: string): string {
  const url = new URL('/oauth/authorize', demo.portal)
  url.search = new URLSearchParams({
    client_id: 'desk',
    redirect_uri: redirectUri,
    response_type: 'code',
    scope: 'openid profile',
    state: 'here',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  }).toString()
  return url.href
}
