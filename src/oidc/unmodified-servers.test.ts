// Runs in a process of its own: it takes long.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { notesApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { actionOf, readPage } from '../testing/browser/page.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'
import { findApache, startApache } from '../testing/services/apache.ts'
import { run } from '../testing/services/command.ts'
import { createPython } from '../testing/services/python.ts'

// Clients in other languages. A machine that cannot have one of them skips its test, and says why.

let server: TestServer
let adasId: string
let browser: Browser

before(async () => {
  server = await startTestServer({ env: { ALLOWED_NETWORKS: '127.0.0.0/8' } })
  adasId = await server.addIdentity(ada)
  browser = new Browser(server.url)
  await browser.signIn(ada)
})
after(() => server.close())

/** What makes a client possible; null, and a skipped test, where this machine cannot have it. */
async function orSkip<Thing>(context: TestContext, thing: Promise<Thing>): Promise<Thing | null> {
  try {
    return await thing
  } catch (error) {
    context.skip(error instanceof Error ? error.message : String(error))
    return null
  }
}

const AUTHLIB = `
import json, sys
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.jwk import KeySet

issuer, client_id, secret, redirect_uri, verifier, callback = sys.argv[1:]
session = OAuth2Session(client_id, secret, scope='openid email', redirect_uri=redirect_uri, code_challenge_method='S256')
known = session.get(issuer + '/.well-known/openid-configuration', withhold_token=True).json()

if callback == '':
    url, state = session.create_authorization_url(known['authorization_endpoint'], code_verifier=verifier, nonce='n')
    print(json.dumps(url))
    sys.exit()

token = dict(session.fetch_token(known['token_endpoint'], authorization_response=callback, code_verifier=verifier))
keys = KeySet.import_key_set(session.get(known['jwks_uri'], withhold_token=True).json())
decoded = jwt.decode(token['id_token'], keys, algorithms=known['id_token_signing_alg_values_supported'])
options = {'iss': {'essential': True, 'value': issuer}, 'aud': {'essential': True, 'value': client_id}}
params = {'nonce': 'n', 'client_id': client_id, 'access_token': token['access_token']}
claims = CodeIDToken(decoded.claims, decoded.header, options, params)
claims.validate()
user = session.get(known['userinfo_endpoint']).json()
refreshed = dict(session.refresh_token(known['token_endpoint']))
revoked = session.revoke_token(known['revocation_endpoint'], refreshed['refresh_token'], token_type_hint='refresh_token')
try:
    session.refresh_token(known['token_endpoint'], refreshed['refresh_token'])
    after = None
except Exception as error:
    after = getattr(error, 'error', repr(error))
print(json.dumps({
    'sub': claims['sub'],
    'email': user['email'],
    'refreshed': refreshed['refresh_token'] != token['refresh_token'],
    'revoked': revoked.status_code,
    'after': after,
}))
`

test('Authlib exchanges a code with PKCE, verifies the ID token, refreshes and revokes', async (context) => {
  const python = await orSkip(context, createPython(['Authlib==1.9.10', 'requests==2.34.2']))
  if (python === null) return
  context.after(python.remove)
  const [redirectUri = ''] = notesApp.redirectUris
  const secret = (await server.addApp('authlib', notesApp)) as string
  const verifier = randomBytes(32).toString('base64url')
  const authlib = async (callback: string): Promise<unknown> => {
    const given = [server.url, 'authlib', secret, redirectUri, verifier, callback]
    // The portal of the tests is on http.
    const env = { ...process.env, AUTHLIB_INSECURE_TRANSPORT: '1' }
    const output = await run(python.program, ['-W', 'ignore', '-c', AUTHLIB, ...given], { env, limit: 60_000 })
    return JSON.parse(output)
  }

  const { url } = await browser.follow(await browser.get((await authlib('')) as string))
  assert.deepEqual(await authlib(url), {
    sub: adasId,
    email: ada.email,
    refreshed: true,
    revoked: 200,
    after: 'invalid_grant',
  })
})

const PAGE = '<!--#echo var="REMOTE_USER" --> <!--#echo var="OIDC_CLAIM_email" -->'

test('mod_auth_openidc signs in with its defaults, and signs out when the person ends the sign-in at the portal', async (context) => {
  const apache = await orSkip(context, findApache())
  if (apache === null) return
  const { url, stop } = await startApache(apache, PAGE, async (home) => {
    const redirectUri = `${home}/callback`
    const backchannelLogoutUri = `${redirectUri}?logout=backchannel`
    const settings = { ...notesApp, name: 'Wiki', redirectUris: [redirectUri], backchannelLogoutUri }
    return [
      // Node's fetch says "cors" whatever it is told, and mod_auth_openidc leads only a navigation to the portal.
      'RequestHeader set Sec-Fetch-Mode navigate early',
      `OIDCProviderMetadataURL ${server.url}/.well-known/openid-configuration`,
      'OIDCClientID wiki',
      `OIDCClientSecret ${await server.addApp('wiki', settings)}`,
      `OIDCRedirectURI ${redirectUri}`,
      `OIDCCryptoPassphrase ${randomBytes(32).toString('hex')}`,
      'OIDCPKCEMethod S256',
      'OIDCScope "openid email"',
      '<Location />',
      'AuthType openid-connect',
      'Require valid-user',
      'Options +Includes',
      'SetOutputFilter INCLUDES',
      '</Location>',
    ]
  })
  context.after(stop)
  const page = `${url}/page.html`

  const { url: callback } = await browser.follow(await browser.get(page))
  assert.equal((await browser.get(callback)).headers.get('location'), page)
  const shown = await browser.get(page)
  assert.equal(await shown.text(), `${adasId}@${server.url} ${ada.email}`)

  const dashboard = await (await browser.get('/dashboard')).text()
  const families = [...dashboard.matchAll(/href="(\/families\/[^"]+)"/g)].map(([, path = '']) => path)
  const pages = await Promise.all(families.map(async (path) => readPage(await browser.get(path))))
  const living = pages.find(({ heading }) => heading.startsWith('Sign-in to Wiki'))
  assert.ok(living)
  await browser.post(actionOf(living, 'Sign out of Wiki in this browser'), {})
  const deadline = performance.now() + 10_000
  let status = 200
  while (status === 200 && performance.now() < deadline) {
    await sleep(50)
    status = (await browser.get(page)).status
  }
  assert.equal(status, 302)
})
