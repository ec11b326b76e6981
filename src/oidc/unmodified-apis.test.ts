import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as low from 'oauth4webapi'
import * as oauth from 'openid-client'
import { apiGrantsFor } from '../domain/apps/app-apis.ts'
import { contactsApi } from '../testing/portal/apis.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { claimsOf, type Client } from '../testing/browser/client.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const CONTACTS = 'https://contacts.example.test'
const CALLBACK = 'https://notes.example.test/callback'

let server: TestServer
let browser: Browser
let contacts: Client
let secret: string

before(async () => {
  server = await startTestServer()
  await server.addIdentity(ada)
  contacts = await server.addApi(CONTACTS, { ...contactsApi, signingAlg: 'EdDSA' })
  const request = await apiGrantsFor(server.services, [CONTACTS], null)
  secret = (await server.addApp('notes', notesApp, { request })) as string
  browser = new Browser(server.url)
  await browser.signIn(ada)
})
after(() => server.close())

const discover = (id: string, authentication: oauth.ClientAuth) =>
  oauth.discovery(new URL(server.url), id, {}, authentication, { execute: [oauth.allowInsecureRequests] })

test('openid-client gets and renews tokens for an API, and oauth4webapi verifies the signed introspection', async () => {
  const config = await discover('notes', oauth.ClientSecretBasic(secret))
  const verifier = oauth.randomPKCECodeVerifier()
  const url = oauth.buildAuthorizationUrl(config, {
    redirect_uri: CALLBACK,
    scope: 'openid contacts:read',
    resource: CONTACTS,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  })
  const reached = await browser.follow(await browser.get(url.href))
  const first = await oauth.authorizationCodeGrant(config, new URL(reached.url), { pkceCodeVerifier: verifier })
  const tokens = await oauth.refreshTokenGrant(config, first.refresh_token as string, { resource: CONTACTS })
  for (const { access_token: token } of [first, tokens]) assert.equal(claimsOf(token)['aud'], CONTACTS)
  assert.equal(typeof tokens['refresh_token_timeout'], 'number')

  const asApi = await discover(contacts.id, oauth.ClientSecretPost(contacts.secret as string))
  assert.equal((await oauth.tokenIntrospection(asApi, tokens.access_token)).aud, CONTACTS)

  const as = asApi.serverMetadata() as low.AuthorizationServer
  const api: low.Client = { client_id: contacts.id }
  const options = { requestJwtResponse: true, [low.allowInsecureRequests]: true }
  const authentication = low.ClientSecretBasic(contacts.secret as string)
  const answer = await low.introspectionRequest(as, api, authentication, tokens.access_token, options)
  assert.equal((await low.processIntrospectionResponse(as, api, answer)).scope, 'contacts:read')
  await low.validateApplicationLevelSignature(as, answer, { [low.allowInsecureRequests]: true })
})
