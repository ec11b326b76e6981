import type { AppKind } from './app-fields.ts'

/** What an app is told about the portal. */
export interface SnippetValues {
  issuer: string
  clientId: string
  /** Null for an app without a secret. */
  secret: string | null
  /** The first one; null for an app without any. */
  redirectUri: string | null
  scope: string
}

/** The settings and the code for one framework: each block with the file that it belongs into. */
export interface Snippet {
  title: string
  blocks: { file: string; code: string }[]
}

/** How an app of this kind is connected, for the frameworks that are used most; first the settings that every one needs. */
export function snippetsFor(type: AppKind, values: SnippetValues): Snippet[] {
  switch (type) {
    case 'confidential':
      return [plain(values), express(values), auth(values), spring(values), rails(values), authlib(values)]
    case 'public':
      return [plain(values), browser(values)]
    case 'native':
      return [plain(values)]
    case 'device':
      return [plain(values), device(values)]
    case 'service':
      return [plain(values), service(values)]
  }
}

function plain({ issuer, clientId, secret, redirectUri, scope }: SnippetValues): Snippet {
  const lines = [
    `ISSUER=${issuer}`,
    `CLIENT_ID=${clientId}`,
    ...(secret === null ? [] : [`CLIENT_SECRET=${secret}`]),
    ...(redirectUri === null ? [] : [`REDIRECT_URI=${redirectUri}`]),
    ...(scope === '' ? [] : [`SCOPE="${scope}"`]),
    `# discovery: ${issuer}/.well-known/openid-configuration`,
  ]
  return { title: 'OpenID Connect', blocks: [{ file: '.env', code: lines.join('\n') }] }
}

const isHttp = (issuer: string) => issuer.startsWith('http:')

function express({ issuer, redirectUri }: SnippetValues): Snippet {
  const options = isHttp(issuer) ? ', undefined, { execute: [oidc.allowInsecureRequests] }' : ''
  return {
    title: 'Express (openid-client)',
    blocks: [
      { file: 'shell', code: 'npm install express express-session openid-client' },
      {
        file: 'server.js',
        code: `import express from 'express'
import session from 'express-session'
import * as oidc from 'openid-client'

const { ISSUER, CLIENT_ID, CLIENT_SECRET } = process.env
const redirect_uri = '${redirectUri ?? ''}'
const portal = await oidc.discovery(new URL(ISSUER), CLIENT_ID, CLIENT_SECRET${options})

const app = express()
app.use(session({ secret: CLIENT_SECRET, resave: false, saveUninitialized: false, cookie: { sameSite: 'lax' } }))
app.get('/sign-in', async (req, res) => {
  const pkceCodeVerifier = oidc.randomPKCECodeVerifier()
  const expectedState = oidc.randomState()
  req.session.checks = { pkceCodeVerifier, expectedState }
  const code_challenge = await oidc.calculatePKCECodeChallenge(pkceCodeVerifier)
  const request = { redirect_uri, scope: 'openid profile', state: expectedState, code_challenge, code_challenge_method: 'S256' }
  res.redirect(oidc.buildAuthorizationUrl(portal, request).href)
})
app.get(new URL(redirect_uri).pathname, async (req, res) => {
  const checks = { ...req.session.checks, idTokenExpected: true }
  const answer = await oidc.authorizationCodeGrant(portal, new URL(req.originalUrl, redirect_uri), checks)
  const { sub } = answer.claims()
  req.session.regenerate(() => {
    req.session.person = sub
    res.redirect('/')
  })
})`,
      },
    ],
  }
}

function auth({ issuer, clientId, secret }: SnippetValues): Snippet {
  return {
    title: 'Next.js (Auth.js)',
    blocks: [
      {
        file: 'auth.ts',
        code: `import NextAuth from 'next-auth'

// The redirect URI to register is https://<your app>/api/auth/callback/portal
export const { handlers, signIn, signOut, auth } = NextAuth({
  providers: [
    {
      id: 'portal',
      name: 'Portal',
      type: 'oidc',
      issuer: process.env.AUTH_PORTAL_ISSUER,
      clientId: process.env.AUTH_PORTAL_ID,
      clientSecret: process.env.AUTH_PORTAL_SECRET,
      checks: ['pkce', 'state'],
    },
  ],
})`,
      },
      {
        file: '.env.local',
        code: `AUTH_PORTAL_ISSUER=${issuer}\nAUTH_PORTAL_ID=${clientId}\nAUTH_PORTAL_SECRET=${secret ?? ''}`,
      },
    ],
  }
}

function spring({ issuer, clientId }: SnippetValues): Snippet {
  return {
    title: 'Spring Security',
    blocks: [
      {
        file: 'application.yml',
        code: `# The redirect URI to register is https://<your app>/login/oauth2/code/portal
spring:
  security:
    oauth2:
      client:
        registration:
          portal:
            client-id: ${clientId}
            client-secret: \${CLIENT_SECRET}
            scope: openid, profile
        provider:
          portal:
            issuer-uri: ${issuer}`,
      },
      {
        file: 'SecurityConfig.java',
        code: `// The portal requires PKCE, which Spring Security sends for a confidential client when it is told to.
@Bean
SecurityFilterChain security(HttpSecurity http, ClientRegistrationRepository clients) throws Exception {
  var resolver = new DefaultOAuth2AuthorizationRequestResolver(clients, "/oauth2/authorization");
  resolver.setAuthorizationRequestCustomizer(OAuth2AuthorizationRequestCustomizers.withPkce());
  http.authorizeHttpRequests(each -> each.anyRequest().authenticated());
  http.oauth2Login(login -> login.authorizationEndpoint(at -> at.authorizationRequestResolver(resolver)));
  return http.build();
}`,
      },
    ],
  }
}

function rails({ issuer, clientId, redirectUri }: SnippetValues): Snippet {
  const { host } = new URL(issuer)
  return {
    title: 'Rails (OmniAuth)',
    blocks: [
      {
        file: 'config/initializers/omniauth.rb',
        code: `# bundle add omniauth_openid_connect omniauth-rails_csrf_protection
Rails.application.config.middleware.use OmniAuth::Builder do
  provider :openid_connect,
    name: :portal,
    issuer: "${issuer}",
    discovery: true,
    pkce: true,
    scope: [:openid, :profile],
    client_options: {
      host: "${host}",
      identifier: "${clientId}",
      secret: ENV.fetch("CLIENT_SECRET"),
      redirect_uri: "${redirectUri ?? ''}" # https://<your app>/auth/portal/callback
    }
end`,
      },
    ],
  }
}

function authlib({ issuer, clientId }: SnippetValues): Snippet {
  return {
    title: 'Python (Authlib)',
    blocks: [
      {
        file: 'app.py',
        code: `# pip install authlib flask requests
import os
from authlib.integrations.flask_client import OAuth
from flask import Flask, redirect, session, url_for

app = Flask(__name__)
app.secret_key = os.environ["SESSION_SECRET"]
oauth = OAuth(app)
oauth.register(
    "portal",
    client_id="${clientId}",
    client_secret=os.environ["CLIENT_SECRET"],
    server_metadata_url="${issuer}/.well-known/openid-configuration",
    client_kwargs={"scope": "openid profile", "code_challenge_method": "S256"},
)

@app.get("/sign-in")
def sign_in():
    return oauth.portal.authorize_redirect(url_for("callback", _external=True))

@app.get("/callback")
def callback():
    session["person"] = oauth.portal.authorize_access_token()["userinfo"]["sub"]
    return redirect("/")`,
      },
    ],
  }
}

function browser({ issuer, clientId, redirectUri }: SnippetValues): Snippet {
  return {
    title: 'oidc-client-ts',
    blocks: [
      {
        file: 'sign-in.js',
        code: `import { UserManager } from 'oidc-client-ts'

const users = new UserManager({
  authority: '${issuer}',
  client_id: '${clientId}',
  redirect_uri: '${redirectUri ?? ''}',
  scope: 'openid profile',
  revokeTokensOnSignout: true,
  revokeTokenTypes: ['refresh_token'],
})
const query = new URLSearchParams(location.search)
if (query.has('code') || query.has('error')) await users.signinCallback()
const user = await users.getUser()
if (!user) await users.signinRedirect()`,
      },
    ],
  }
}

function device({ issuer, clientId }: SnippetValues): Snippet {
  return {
    title: 'curl',
    blocks: [
      {
        file: 'shell',
        code: `curl -d client_id=${clientId} -d scope=openid ${issuer}/oauth/device
# show user_code and verification_uri, then ask every few seconds:
curl -d client_id=${clientId} -d grant_type=urn:ietf:params:oauth:grant-type:device_code \\
  -d device_code=<device_code> ${issuer}/oauth/token`,
      },
    ],
  }
}

function service({ issuer, clientId }: SnippetValues): Snippet {
  return {
    title: 'curl',
    blocks: [
      {
        file: 'shell',
        code: `curl -u "${clientId}:$CLIENT_SECRET" -d grant_type=client_credentials \\
  -d resource=<identifier of the API> -d scope=<its scopes> ${issuer}/oauth/token`,
      },
    ],
  }
}
