import assert from 'node:assert/strict'
import { after, before, type TestContext, test } from 'node:test'
import { notesApp } from '../testing/portal/apps.ts'
import { Browser } from '../testing/browser/browser.ts'
import { ada } from '../testing/portal/people.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'
import { run } from '../testing/services/command.ts'
import { createPython, type Python } from '../testing/services/python.ts'

// Unmodified Python clients. A machine without Python skips them, and says why.

const REQUIREMENTS = [
  'requests-oauthlib==2.0.0',
  'social-auth-core==7.0.0',
  'mozilla-django-oidc==5.0.2',
  'Django==5.2.19',
]
/** Where Django's test client says that it is. */
const DJANGO_CALLBACK = 'http://127.0.0.1/oidc/callback/'

let server: TestServer
let adasId: string
let browser: Browser
let python: Python | Error

before(async () => {
  server = await startTestServer()
  adasId = await server.addIdentity(ada)
  browser = new Browser(server.url)
  await browser.signIn(ada)
  python = await createPython(REQUIREMENTS).catch((error: Error) => error)
})
after(async () => {
  if (!(python instanceof Error)) await python.remove()
  await server.close()
})

/** What a script prints of a sign-in in the browser in which Ada is signed in; null, and a skipped test, without Python. */
async function signInWith(context: TestContext, clientId: string, script: string): Promise<unknown> {
  if (python instanceof Error) {
    context.skip(python.message)
    return null
  }
  const [redirectUri = ''] = notesApp.redirectUris
  const redirectUris = [redirectUri, DJANGO_CALLBACK]
  const secret = (await server.addApp(clientId, { ...notesApp, redirectUris })) as string
  const cookie = await browser.jar.getCookieString(server.url)
  // The portal of the tests is on http.
  const env = { ...process.env, OAUTHLIB_INSECURE_TRANSPORT: '1' }
  const given = [server.url, clientId, secret, redirectUri, cookie]
  return JSON.parse(await run(python.program, ['-W', 'ignore', '-c', script, ...given], { env, limit: 60_000 }))
}

const REQUESTS_OAUTHLIB = `
import json, sys
import requests
from requests_oauthlib import OAuth2Session

issuer, client_id, secret, redirect_uri, cookie = sys.argv[1:]
known = requests.get(issuer + '/.well-known/openid-configuration').json()
session = OAuth2Session(client_id, redirect_uri=redirect_uri, scope=['openid', 'email'], pkce='S256')
url, state = session.authorization_url(known['authorization_endpoint'])
callback = requests.get(url, headers={'Cookie': cookie}, allow_redirects=False).headers['Location']
token = dict(session.fetch_token(known['token_endpoint'], authorization_response=callback, client_secret=secret))
user = session.get(known['userinfo_endpoint']).json()
refreshed = session.refresh_token(known['token_endpoint'], auth=(client_id, secret))
print(json.dumps({'sub': user['sub'], 'email': user['email'], 'refreshed': refreshed['refresh_token'] != token['refresh_token']}))
`

test('requests-oauthlib exchanges a code with PKCE, and refreshes', async (context) => {
  const seen = await signInWith(context, 'requests-oauthlib', REQUESTS_OAUTHLIB)
  if (seen !== null) assert.deepEqual(seen, { sub: adasId, email: ada.email, refreshed: true })
})

const SOCIAL_AUTH = `
import json, sys
from urllib.parse import parse_qsl, urlsplit
import requests
from social_core.backends.open_id_connect import OpenIdConnectAuth
from social_core.storage import AssociationMixin, BaseStorage, NonceMixin
from social_core.strategy import BaseStrategy

issuer, client_id, secret, redirect_uri, cookie = sys.argv[1:]
settings = {
    'SOCIAL_AUTH_OIDC_OIDC_ENDPOINT': issuer, 'SOCIAL_AUTH_OIDC_KEY': client_id, 'SOCIAL_AUTH_OIDC_SECRET': secret,
    'SOCIAL_AUTH_OIDC_USE_PKCE': True,
}

class Association(AssociationMixin):
    kept = []
    @classmethod
    def store(cls, server_url, association):
        row = cls()
        vars(row).update(vars(association), id=len(cls.kept))
        cls.kept.append(row)
    @classmethod
    def get(cls, server_url=None, handle=None, **rest):
        return [each for each in cls.kept if each.handle == handle]
    @classmethod
    def remove(cls, ids_to_delete):
        pass

class Nonce(NonceMixin):
    kept = set()
    @classmethod
    def use(cls, *nonce):
        fresh = nonce not in cls.kept
        cls.kept.add(nonce)
        return fresh
    @classmethod
    def consume(cls, *nonce):
        fresh = nonce in cls.kept
        cls.kept.discard(nonce)
        return fresh

class Storage(BaseStorage):
    association = Association
    nonce = Nonce

class Strategy(BaseStrategy):
    session, given = {}, {}
    def get_setting(self, name): return settings[name]
    def redirect(self, url): return url
    def session_get(self, name, default=None): return self.session.get(name, default)
    def session_set(self, name, value): self.session[name] = value
    def session_pop(self, name): return self.session.pop(name, None)
    def request_data(self, merge=True): return self.given
    def request_host(self): return urlsplit(redirect_uri).netloc
    def build_absolute_uri(self, path=None): return path
    def authenticate(self, backend, *args, **kwargs): return kwargs['response']

strategy = Strategy(Storage)
url = OpenIdConnectAuth(strategy, redirect_uri).start()
callback = requests.get(url, headers={'Cookie': cookie}, allow_redirects=False).headers['Location']
strategy.given = dict(parse_qsl(urlsplit(callback).query))
backend = OpenIdConnectAuth(strategy, redirect_uri)
backend.data = strategy.given
user = backend.auth_complete()
refreshed = backend.refresh_token(user['refresh_token'])
print(json.dumps({'sub': user['sub'], 'email': user['email'], 'refreshed': refreshed['refresh_token'] != user['refresh_token']}))
`

test('social-auth signs in with PKCE by discovery, verifies the ID token, and refreshes', async (context) => {
  const seen = await signInWith(context, 'social-auth', SOCIAL_AUTH)
  if (seen !== null) assert.deepEqual(seen, { sub: adasId, email: ada.email, refreshed: true })
})

const MOZILLA_DJANGO_OIDC = `
import json, sys
import django, requests
from django.conf import settings
from django.urls import include, path

issuer, client_id, secret, redirect_uri, cookie = sys.argv[1:]
settings.configure(
    SECRET_KEY='x' * 50, ROOT_URLCONF=__name__, ALLOWED_HOSTS=['*'], DEBUG=False,
    DATABASES={'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': ':memory:'}},
    INSTALLED_APPS=['django.contrib.auth', 'django.contrib.contenttypes', 'mozilla_django_oidc'],
    MIDDLEWARE=['django.contrib.sessions.middleware.SessionMiddleware', 'django.contrib.auth.middleware.AuthenticationMiddleware'],
    SESSION_ENGINE='django.contrib.sessions.backends.signed_cookies',
    AUTHENTICATION_BACKENDS=['mozilla_django_oidc.auth.OIDCAuthenticationBackend'],
    LOGIN_REDIRECT_URL='/in', LOGIN_REDIRECT_URL_FAILURE='/failed',
    OIDC_RP_CLIENT_ID=client_id, OIDC_RP_CLIENT_SECRET=secret, OIDC_RP_SIGN_ALGO='RS256', OIDC_USE_PKCE=True,
    OIDC_OP_AUTHORIZATION_ENDPOINT=issuer + '/oauth/authorize', OIDC_OP_TOKEN_ENDPOINT=issuer + '/oauth/token',
    OIDC_OP_USER_ENDPOINT=issuer + '/oauth/userinfo', OIDC_OP_JWKS_ENDPOINT=issuer + '/oauth/jwks',
)
django.setup()
urlpatterns = [path('oidc/', include('mozilla_django_oidc.urls'))]

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import Client

call_command('migrate', verbosity=0)
client = Client(SERVER_NAME='127.0.0.1')
url = client.get('/oidc/authenticate/').headers['Location']
callback = requests.get(url, headers={'Cookie': cookie}, allow_redirects=False).headers['Location']
answer = client.get(callback)
print(json.dumps({'in': answer.headers['Location'] == '/in', 'email': get_user_model().objects.get().email}))
`

test('mozilla-django-oidc signs in with PKCE, and makes a user of the ID token', async (context) => {
  const seen = await signInWith(context, 'mozilla-django-oidc', MOZILLA_DJANGO_OIDC)
  if (seen !== null) assert.deepEqual(seen, { in: true, email: ada.email })
})
