import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import express, { type Express, type RequestHandler } from 'express'
import openidConnect from 'express-openid-connect'
import session from 'express-session'
import * as openid from 'openid-client'
import OpenIDConnectStrategy from 'passport-openidconnect'
import { AuthorizationCode } from 'simple-oauth2'
import { notesApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { readPage } from '../testing/browser/page.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

// Its types bring a half DOM into every file.
const library: string = '@auth/express'
const { ExpressAuth } = (await import(library)) as { ExpressAuth(options: object): RequestHandler }

const SECRET = randomBytes(32).toString('hex')

let server: TestServer
let adasId: string
const apps: Server[] = []

before(async () => {
  server = await startTestServer()
  adasId = await server.addIdentity(ada)
})
after(async () => {
  for (const app of apps) {
    app.closeAllConnections()
    app.close()
  }
  await server.close()
})

interface Registered {
  app: Express
  /** Where the app is, without a slash at the end. */
  home: string
  secret: string
}

/** An app of its own, on a port of its own, registered with the portal. */
async function appFor(
  clientId: string,
  callback: string,
  settings: Partial<typeof notesApp> = {},
): Promise<Registered> {
  const app = express()
  const listening = app.listen(0, '127.0.0.1')
  apps.push(listening)
  await once(listening, 'listening')
  const home = `http://127.0.0.1:${(listening.address() as AddressInfo).port}`
  const uris = { redirectUris: [home + callback], postLogoutRedirectUris: [home] }
  const secret = await server.addApp(clientId, { ...notesApp, ...uris, ...settings })
  return { app, home, secret: secret as string }
}

/** Goes through every redirect, the portal's and the app's, and answers the form of the portal's sign-in page when it comes. */
async function visit(browser: Browser, from: string, first?: Response): Promise<{ url: string; response: Response }> {
  let url = from
  let response = first ?? (await browser.get(url))
  for (let hops = 0; hops < 20; hops++) {
    const location = response.headers.get('location')
    if (location !== null) {
      url = new URL(location, url).href
      response = await browser.get(url)
    } else if (url.startsWith(`${server.url}/interaction/`) || url.startsWith(`${server.url}/oauth/logout`)) {
      const form = (await readPage(response)).forms[0]
      assert.ok(form, url)
      const fields = {
        ...form.fields,
        ...(url.includes('/interaction/') ? { login: ada.username, password: ada.password } : {}),
      }
      url = new URL(form.action, url).href
      response = await browser.post(url, fields)
    } else {
      return { url, response }
    }
  }
  throw new Error(`redirected too often, last to ${url}`)
}

const isSignedIn = async (browser: Browser) => (await browser.get('/dashboard')).status === 200

test('express-openid-connect with its defaults and the code flow signs in, refreshes and signs out everywhere', async () => {
  const { app, home, secret } = await appFor('eoc', '/callback')
  const settings = { issuerBaseURL: server.url, baseURL: home, clientID: 'eoc', clientSecret: secret, secret: SECRET }
  const flow = { authRequired: false, idpLogout: true, authorizationParams: { response_type: 'code' } }
  app.use(openidConnect.auth({ ...settings, ...flow }))
  app.get('/', (req, res) => res.json(req.oidc.user ?? null))
  app.get('/refresh', async (req, res) => {
    const { access_token: token } = (await req.oidc.accessToken?.refresh()) ?? {}
    res.json(typeof token)
  })
  const browser = new Browser(server.url)
  const { response } = await visit(browser, `${home}/login`)
  const user = (await response.json()) as Record<string, unknown>
  assert.deepEqual([user['sub'], user['email']], [adasId, ada.email])
  assert.equal(await (await browser.get(`${home}/refresh`)).json(), 'string')
  await visit(browser, `${home}/logout`)
  assert.equal(await (await browser.get(home)).json(), null)
  assert.equal(await isSignedIn(browser), false)
})

test('@auth/express signs in with its defaults, knows the person and signs out of the app', async () => {
  const { app, home, secret } = await appFor('authjs', '/auth/callback/gatehouse')
  const provider = { id: 'gatehouse', name: 'Gatehouse', type: 'oidc' as const, issuer: server.url, clientId: 'authjs' }
  // Express 5 has no nameless wildcards, out of which the library would read where it is.
  const options = {
    basePath: '/auth',
    secret: SECRET,
    trustHost: true,
    providers: [{ ...provider, clientSecret: secret }],
  }
  // With a wildcard, as its documentation has it for Express 4, it does not find out where it is.
  app.use('/auth', ExpressAuth(options))
  app.get('/', (_req, res) => void res.json('home'))
  const browser = new Browser(server.url)
  const post = async (path: string) => {
    const { csrfToken } = (await (await browser.get(`${home}/auth/csrf`)).json()) as { csrfToken: string }
    return browser.post(home + path, { csrfToken, callbackUrl: home }, { origin: home })
  }
  const { url } = await visit(browser, `${home}/auth/signin/gatehouse`, await post('/auth/signin/gatehouse'))
  assert.equal(url, `${home}/`)
  const { user } = (await (await browser.get(`${home}/auth/session`)).json()) as { user: Record<string, unknown> }
  assert.equal(user['email'], ada.email)
  await post('/auth/signout')
  assert.equal(await (await browser.get(`${home}/auth/session`)).json(), null)
})

test('passport-openidconnect signs in, with an app that is excused from PKCE', async () => {
  const { app, home, secret } = await appFor('passport', '/callback', { allowNoPkce: true })
  const urls = { authorizationURL: '/oauth/authorize', tokenURL: '/oauth/token', userInfoURL: '/oauth/userinfo' }
  const absolute = Object.fromEntries(Object.entries(urls).map(([name, path]) => [name, server.url + path]))
  const strategy = new OpenIDConnectStrategy(
    {
      ...(absolute as typeof urls),
      issuer: server.url,
      clientID: 'passport',
      clientSecret: secret,
      callbackURL: `${home}/callback`,
      scope: ['profile', 'email'],
    },
    (_issuer: string, profile: OpenIDConnectStrategy.Profile, done: OpenIDConnectStrategy.VerifyCallback) =>
      done(null, profile),
  )
  app.use(session({ secret: SECRET, resave: false, saveUninitialized: false }))
  // What passport itself does with a strategy.
  app.get(['/sign-in', '/callback'], (req, res) => {
    const answers = {
      success: (user: unknown) => res.json(user),
      fail: (...why: unknown[]) => res.status(401).json(why),
      redirect: (url: string) => res.redirect(url),
      error: (error: Error) => res.status(500).json(String(error)),
    }
    const attempt = Object.assign(Object.create(strategy) as OpenIDConnectStrategy, answers)
    attempt.authenticate(req, {})
  })
  const browser = new Browser(server.url)
  const { response } = await visit(browser, `${home}/sign-in`)
  const profile = (await response.json()) as { id: string; username: string; emails: { value: string }[] }
  assert.deepEqual([profile.id, profile.username, profile.emails[0]?.value], [adasId, 'ada', ada.email])
})

test('simple-oauth2 exchanges a code with PKCE, refreshes and revokes', async () => {
  const { home, secret } = await appFor('simple', '/callback')
  const paths = { tokenPath: '/oauth/token', authorizePath: '/oauth/authorize', revokePath: '/oauth/revoke' }
  const client = new AuthorizationCode({ client: { id: 'simple', secret }, auth: { tokenHost: server.url, ...paths } })
  const verifier = openid.randomPKCECodeVerifier()
  const challenge = { code_challenge: await openid.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256' }
  const redirect_uri = `${home}/callback`
  const browser = new Browser(server.url)
  await browser.signIn(ada)
  const asked = client.authorizeURL({ redirect_uri, scope: 'openid', state: 's', ...challenge })
  const { url } = await browser.follow(await browser.get(asked))
  const code = new URL(url).searchParams.get('code') as string
  const token = await client.getToken({ code, redirect_uri, code_verifier: verifier } as {
    code: string
    redirect_uri: string
  })
  const next = await token.refresh()
  assert.notEqual(next.token['refresh_token'], token.token['refresh_token'])
  await next.revokeAll()
  await assert.rejects(next.refresh(), { message: /400/ })
})
