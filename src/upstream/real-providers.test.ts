// Against a second Gatehouse, and oidc-provider as it comes.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import Provider from 'oidc-provider'
import { Browser } from '../testing/browser/browser.ts'
import { readPage } from '../testing/browser/page.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'
import { createIdentityProvider } from '../domain/identity-providers/identity-providers.ts'
import { endIdentitySessions } from '../domain/endings/endings.ts'

let here: TestServer
let there: TestServer
let library: Server
let issuer: string

before(async () => {
  ;[here, there] = await Promise.all([
    startTestServer({ env: { ALLOWED_NETWORKS: '127.0.0.0/8' } }),
    startTestServer({ env: { ALLOWED_NETWORKS: '127.0.0.0/8' } }),
  ])
  await there.addIdentity(ada, { emailVerified: true })
  const callback = `${here.url}/login/with/there`
  const secret = await there.addApp('here', {
    ...notesApp,
    name: 'Here',
    redirectUris: [`${callback}/callback`],
    backchannelLogoutUri: `${callback}/backchannel-logout`,
  })
  const portal = { name: 'There', issuer: there.url, clientId: 'here', clientSecret: secret }
  await createIdentityProvider(here.services, 'there', { ...portal, registration: 'open' })

  library = createServer()
  library.listen(0, '127.0.0.1')
  await once(library, 'listening')
  issuer = `http://127.0.0.1:${(library.address() as AddressInfo).port}`
  const provider = new Provider(issuer, {
    clients: [
      { client_id: 'here', client_secret: 'a-secret', redirect_uris: [`${here.url}/login/with/library/callback`] },
    ],
    claims: { email: ['email', 'email_verified'] },
    findAccount: (_ctx, sub) => ({
      accountId: sub,
      claims: () => ({ sub, email: `${sub}@library.test`, email_verified: true }),
    }),
  })
  const answer = provider.callback()
  library.on('request', (req, res) => void answer(req, res))
  const registered = { issuer, clientId: 'here', clientSecret: 'a-secret', scopes: ['openid', 'email'] }
  await createIdentityProvider(here.services, 'library', { ...registered, name: 'Library', registration: 'open' })
})
after(async () => {
  library.closeAllConnections()
  library.close()
  await Promise.all([here.close(), there.close()])
})

test('a second Gatehouse signs in, and its logout ends what it opened', async () => {
  const [browser, home] = [new Browser(here.url), new Browser(there.url)]
  await home.signIn(ada)
  const left = await browser.post('/login/with/there', { return_to: '/settings' })
  const { url } = await home.follow(await home.get(left.headers.get('location') as string))
  assert.ok(url.startsWith(`${here.url}/login/with/there/callback?`), url)
  const arrived = await browser.get(url)
  assert.equal(arrived.headers.get('location'), '/settings')
  assert.match((await readPage(await browser.get('/settings'))).text, /ada@example\.test Confirmed/)
  // Signed out there, in the browser that is signed in there.
  const { rows } = await there.services.storage.pool.query<{ id: string }>('SELECT id FROM identities')
  await endIdentitySessions(there.services, { identityId: rows[0]?.id as string }, 'signed_out', null)
  for (let tries = 0; (await browser.get('/dashboard')).status === 200; tries++) {
    assert.ok(tries < 200, 'the logout never came')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  assert.match(here.log(), /"event":"provider_signed_out"/)
})

test('oidc-provider signs in as it comes, with an address that only its userinfo endpoint says', async () => {
  const browser = new Browser(here.url)
  const left = await browser.post('/login/with/library', {})
  const away = new Browser(issuer)
  let page = await away.follow(await away.get(left.headers.get('location') as string))
  for (let step = 0; step < 5 && page.url.startsWith(issuer); step++) {
    const html = await page.response.text()
    const action = /<form[^>]*action="([^"]+)"/.exec(html)?.[1] as string
    const prompt = /name="prompt" value="([^"]+)"/.exec(html)?.[1] as string
    page = await away.follow(await away.post(action, { prompt, login: 'lovelace', password: 'any' }))
  }
  assert.ok(page.url.startsWith(`${here.url}/login/with/library/callback?`), page.url)
  const arrived = await browser.get(page.url)
  assert.equal(arrived.headers.get('location'), '/dashboard')
  assert.match((await readPage(await browser.get('/settings'))).text, /lovelace@library\.test Confirmed/)
})
