import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { betterAuth } from 'better-auth'
import { memoryAdapter } from 'better-auth/adapters/memory'
import { genericOAuth } from 'better-auth/plugins'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import OAuth2Strategy from 'passport-oauth2'
import { notesApp, photosApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client, claimsOf } from '../testing/browser/client.ts'
import { familyRow } from '../testing/portal/connections.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const ROUNDS = 20
const AT_ONCE = 5

let server: TestServer
let browser: Browser
let notes: Client
let photos: Client

before(async () => {
  server = await startTestServer()
  await server.addIdentity(ada)
  notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), 'https://notes.example.test/callback')
  photos = new Client(server.url, 'photos', await server.addApp('photos', photosApp), 'https://photos.example.test/')
  browser = new Browser(server.url)
  await browser.signIn(ada)
})
after(() => server.close())

/** What an app that was made with a library does when one of its API calls finds its application token expired. */
interface App {
  /** Refreshes with the refresh token the app holds at that moment, and keeps what comes back, as the library has it. */
  refresh(): Promise<void>
}

const LIBRARIES: Record<string, (refreshToken: string) => Promise<App>> = {
  async 'openid-client'(refreshToken) {
    const secret = openid.ClientSecretBasic(notes.secret as string)
    const options = { execute: [openid.allowInsecureRequests] }
    const config = await openid.discovery(new URL(server.url), 'notes', {}, secret, options)
    return keeping(refreshToken, async (held) => (await openid.refreshTokenGrant(config, held)).refresh_token)
  },
  async oauth4webapi(refreshToken) {
    const insecure = { [oauth.allowInsecureRequests]: true }
    const issuer = new URL(server.url)
    const discovered = await oauth.discoveryRequest(issuer, { algorithm: 'oidc', ...insecure })
    const as = await oauth.processDiscoveryResponse(issuer, discovered)
    const client = { client_id: 'photos' }
    return keeping(refreshToken, async (held) => {
      const response = await oauth.refreshTokenGrantRequest(as, client, oauth.None(), held, insecure)
      return (await oauth.processRefreshTokenResponse(as, client, response)).refresh_token
    })
  },
  async 'passport-oauth2'(refreshToken) {
    const options = {
      authorizationURL: `${server.url}/oauth/authorize`,
      tokenURL: `${server.url}/oauth/token`,
      clientID: 'notes',
      clientSecret: notes.secret as string,
      callbackURL: notes.redirectUri,
    }
    const strategy = new RefreshingStrategy(options, (...[, , , done]: unknown[]) => (done as () => void)())
    return keeping(refreshToken, (held) => strategy.refresh(held))
  },
  async 'better-auth'(refreshToken) {
    const expired = new Date(Date.now() - 1000)
    const account = { id: 'account', accountId: 'ada', providerId: 'gatehouse', userId: 'ada', refreshToken }
    const dates = { createdAt: expired, updatedAt: expired }
    const database = {
      user: [{ id: 'ada', name: 'Ada', email: ada.email, emailVerified: true, ...dates }],
      account: [{ ...account, accessToken: 'expired', accessTokenExpiresAt: expired, ...dates }],
      session: [],
      verification: [],
    }
    const auth = betterAuth({
      baseURL: 'http://127.0.0.1:3999',
      secret: 'a secret of better-auth that is long enough',
      telemetry: { enabled: false },
      logger: { disabled: true },
      database: memoryAdapter(database),
      plugins: [
        genericOAuth({
          config: [
            {
              providerId: 'gatehouse',
              discoveryUrl: `${server.url}/.well-known/openid-configuration`,
              clientId: 'notes',
              clientSecret: notes.secret as string,
            },
          ],
        }),
      ],
    })
    return {
      async refresh() {
        await auth.api.refreshToken({ body: { accountId: 'account', userId: 'ada' } })
      },
    }
  },
}

/** passport-oauth2 leaves refreshing to its users; passport-oauth2-refresh calls the same function of the same object. */
class RefreshingStrategy extends OAuth2Strategy {
  async refresh(refreshToken: string): Promise<string | undefined> {
    return new Promise((resolve, reject) => {
      // oxlint-disable-next-line no-underscore-dangle -- the library's own name for it
      this._oauth2.getOAuthAccessToken(refreshToken, { grant_type: 'refresh_token' }, (error, _token, next) => {
        if (error !== null) reject(new Error(JSON.stringify(error)))
        else resolve(next)
      })
    })
  }
}

/** An app that holds one refresh token, and takes whichever comes last. */
function keeping(first: string, ask: (held: string) => Promise<string | undefined>): App {
  let held = first
  return {
    async refresh() {
      held = (await ask(held)) ?? held
    },
  }
}

for (const [library, open] of Object.entries(LIBRARIES)) {
  test(`${library} loses no family when calls refresh at once, right after one that has`, async () => {
    const client = library === 'oauth4webapi' ? photos : notes
    const tokens = await client.connect(browser)
    const app = await open(tokens.refresh_token)
    for (let round = 0; round < ROUNDS; round++) {
      // One call is ahead: some of the others hold the token from before it, some that from after it.
      const ahead = app.refresh()
      const together = Array.from({ length: AT_ONCE }, async (_, call) => {
        if (call % 2 === 1) await ahead
        await app.refresh()
      })
      await Promise.all([ahead, ...together])
    }
    const family = await familyRow(server.services, { familyId: claimsOf(tokens.access_token)['fam'] as string })
    assert.equal(family.endedAt, null)
    assert.ok(family.generation >= ROUNDS, `${family.generation} rotations`)
    await app.refresh()
  })
}
