import type { Request } from '@playwright/test'
import { expect, test } from './demo.ts'
import { connect, connectSilently, expectDisconnected, refresh, removeApp } from './steps.ts'

test('the identity cookie stays between the browser and the portal', async ({ page, context, demo, person }) => {
  const requests: Request[] = []
  context.on('request', (request) => requests.push(request))

  await connect(page, demo.notes, person)
  const cookies = await context.cookies(demo.portal)
  const identity = cookies.find(({ name }) => name === 'identity')
  expect(identity).toMatchObject({ httpOnly: true, sameSite: 'Lax', path: '/', domain: 'localhost' })
  // Half of the value is a signature; the secret part comes before it, and is written the same way everywhere.
  const secret =
    decodeURIComponent(identity?.value ?? '')
      .replace(/^s:/, '')
      .split('.')[0] ?? ''
  expect(secret.length).toBeGreaterThan(20)

  const seenByScripts: string[] = []
  const lookAround = async () => {
    const texts = await page.locator('html').evaluate((html) => {
      const { cookie, defaultView } = html.ownerDocument
      const { localStorage, sessionStorage, location } = defaultView
      return [cookie, JSON.stringify(localStorage), JSON.stringify(sessionStorage), location.href, html.outerHTML]
    })
    seenByScripts.push(...texts)
  }
  await lookAround()
  await refresh(page)
  await page.getByRole('button', { name: 'Ask the Notes API' }).click()
  await connectSilently(page, demo.photos, person)
  await page.getByRole('button', { name: 'Load my profile' }).click()
  await expect(page.getByTestId('api-result')).toContainText(person.email)
  await refresh(page)
  await lookAround()
  for (const path of ['/dashboard', '/sessions', '/activity', '/logout']) {
    await page.goto(path)
    await lookAround()
  }
  await page.goto('/dashboard')
  await removeApp(page, 'Notes')
  await expectDisconnected(page, demo.notes, 'Notes')
  await page.goto('/dashboard')
  await page.getByRole('button', { name: 'Sign out', exact: true }).click()
  await expect(page).toHaveURL(/\/login/)
  await lookAround()

  expect(seenByScripts.filter((text) => text.includes(secret))).toEqual([])

  const carriers = new Set<string>()
  for (const request of requests) {
    const { origin, pathname } = new URL(request.url())
    const { cookie = '', ...headers } = await request.allHeaders()
    expect(decodeURIComponent(request.url())).not.toContain(secret)
    expect(decodeURIComponent(JSON.stringify(headers))).not.toContain(secret)
    expect(request.postData() ?? '').not.toContain(secret)
    if (cookie.includes(secret)) carriers.add(`${origin}${pathname}`)
  }
  expect([...carriers]).toContain(`${demo.portal}/dashboard`)
  // Not at the apps, and not at the endpoints that apps call.
  expect([...carriers].filter((url) => !url.startsWith(`${demo.portal}/`))).toEqual([])
  expect([...carriers].filter((url) => /\/oauth\/(?!authorize)|\.well-known/.test(url))).toEqual([])

  expect(demo.output().split('\n').length).toBeGreaterThan(requests.length / 2)
  expect(demo.output().includes(secret)).toBe(false)
  expect(demo.output().includes(person.password)).toBe(false)
})

test('the cookie of a sign-out opens nothing any more', async ({ page, context, browser, demo, person }) => {
  await connect(page, demo.notes, person)
  const stolen = await context.cookies(demo.portal)
  await page.goto('/dashboard')
  await page.getByRole('button', { name: 'Sign out', exact: true }).click()
  await expect(page).toHaveURL(/\/login/)

  const thief = await browser.newContext({ baseURL: demo.portal })
  await thief.addCookies(stolen)
  const elsewhere = await thief.newPage()
  await elsewhere.goto('/dashboard')
  await expect(elsewhere).toHaveURL(/\/login/)
  await thief.close()
})
