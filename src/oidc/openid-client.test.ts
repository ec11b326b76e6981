import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as oauth from 'openid-client'
import { notesApp, photosApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { readPage } from '../testing/browser/page.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

let server: TestServer
let adasId: string
let secret: string

before(async () => {
  server = await startTestServer()
  adasId = await server.addIdentity(ada)
  secret = (await server.addApp('notes', notesApp)) as string
  await server.addApp('photos', { ...photosApp, postLogoutRedirectUris: ['https://photos.example.test/'] })
})
after(() => server.close())

const APPS = [
  { id: 'notes', callback: 'https://notes.example.test/callback', home: 'https://notes.example.test/' },
  { id: 'photos', callback: 'https://photos.example.test/', home: 'https://photos.example.test/' },
]

for (const { id, callback, home } of APPS) {
  /** What the library knows of the portal, from nothing but its address. */
  const discover = (algorithm: 'oidc' | 'oauth2' = 'oidc') =>
    oauth.discovery(new URL(server.url), id, {}, id === 'notes' ? oauth.ClientSecretBasic(secret) : oauth.None(), {
      execute: [oauth.allowInsecureRequests],
      algorithm,
    })

  test(`openid-client connects ${id}, uses what it got, and lets go of it`, async () => {
    const config = await discover()
    const verifier = oauth.randomPKCECodeVerifier()
    const [state, nonce] = [oauth.randomState(), oauth.randomNonce()]
    const url = oauth.buildAuthorizationUrl(config, {
      redirect_uri: callback,
      scope: 'openid profile email',
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      state,
      nonce,
      max_age: '3600',
    })

    const browser = new Browser(server.url)
    const { response } = await browser.follow(await browser.get(url.href))
    const fields = { ...(await readPage(response)).forms[0]?.fields, login: ada.username, password: ada.password }
    const reached = await browser.follow(await browser.post('/login', fields))

    const tokens = await oauth.authorizationCodeGrant(config, new URL(reached.url), {
      pkceCodeVerifier: verifier,
      expectedState: state,
      expectedNonce: nonce,
      maxAge: 3600,
      idTokenExpected: true,
    })
    assert.equal(tokens.claims()?.sub, adasId)
    assert.ok(tokens.refresh_token)
    const person = await oauth.fetchUserInfo(config, tokens.access_token, adasId)
    assert.deepEqual([person.email, person.preferred_username], [ada.email, 'ada'])

    const next = await oauth.refreshTokenGrant(config, tokens.refresh_token)
    assert.ok(next.refresh_token)
    assert.notEqual(next.refresh_token, tokens.refresh_token)
    const withIdToken = await oauth.refreshTokenGrant(config, next.refresh_token, { scope: 'openid' })
    assert.equal(withIdToken.claims()?.sub, adasId)

    const told = await oauth.tokenIntrospection(config, withIdToken.access_token)
    assert.deepEqual([told.active, told.sub, told.client_id], [true, adasId, id])

    await oauth.tokenRevocation(config, withIdToken.refresh_token as string)
    assert.equal((await oauth.tokenIntrospection(config, withIdToken.access_token)).active, false)
    await assert.rejects(oauth.fetchUserInfo(config, withIdToken.access_token, adasId))
    await assert.rejects(
      oauth.refreshTokenGrant(config, withIdToken.refresh_token as string),
      (error: oauth.ResponseBodyError) => {
        assert.equal(error.error, 'invalid_grant')
        assert.equal(error.cause['reason'], 'revoked')
        return true
      },
    )

    const logout = oauth.buildEndSessionUrl(config, {
      id_token_hint: tokens.id_token as string,
      post_logout_redirect_uri: home,
      state: 'bye',
    })
    const page = await readPage(await browser.get(logout.href))
    const done = await browser.post(page.forms[0]?.action ?? '', page.forms[0]?.fields ?? {})
    assert.equal(done.headers.get('location'), `${home}?state=bye`)
    assert.equal((await browser.get('/dashboard')).status, 303)
  })

  test(`openid-client gets the reason why a user could not be signed in to ${id} silently`, async () => {
    const config = await discover('oauth2')
    const verifier = oauth.randomPKCECodeVerifier()
    const url = oauth.buildAuthorizationUrl(config, {
      redirect_uri: callback,
      scope: 'openid',
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      prompt: 'none',
      state: 's',
    })
    const { url: reached } = await new Browser(server.url).follow(await new Browser(server.url).get(url.href))
    await assert.rejects(
      oauth.authorizationCodeGrant(config, new URL(reached), { pkceCodeVerifier: verifier, expectedState: 's' }),
      (error: oauth.AuthorizationResponseError) => error.error === 'login_required',
    )
  })

  test(`openid-client pushes the request of ${id} and binds its tokens to a key`, async () => {
    const config = await discover()
    const DPoP = oauth.getDPoPHandle(config, await oauth.randomDPoPKeyPair())
    const verifier = oauth.randomPKCECodeVerifier()
    const browser = new Browser(server.url)
    await browser.signIn(ada)
    const url = await oauth.buildAuthorizationUrlWithPAR(
      config,
      {
        redirect_uri: callback,
        scope: 'openid',
        code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
        state: 's',
      },
      { DPoP },
    )
    const { url: reached } = await browser.follow(await browser.get(url.href))
    const checks = { pkceCodeVerifier: verifier, expectedState: 's' }
    const tokens = await oauth.authorizationCodeGrant(config, new URL(reached), checks, undefined, { DPoP })
    assert.equal(tokens.token_type, 'dpop')
    assert.equal((await oauth.fetchUserInfo(config, tokens.access_token, adasId, { DPoP })).sub, adasId)
    const next = await oauth.refreshTokenGrant(config, tokens.refresh_token as string, undefined, { DPoP })
    assert.equal(next.token_type, 'dpop')
  })
}
