import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import express from 'express'
import { Redis } from 'ioredis'
import Provider from 'oidc-provider'
import pg from 'pg'
import type { Credentials } from '../subjects/subject.ts'
import { OPAQUE_APP, SERVICE } from './apps.ts'
import { PostgresAdapter } from './postgres-adapter.ts'
import { RedisAdapter } from './redis-adapter.ts'

const { env } = process
const AUDIENCE = given('AUDIENCE')
const SCOPE = 'openid profile email'
const APPLICATION_TOKEN_LIFE = 300

const pool = new pg.Pool({ connectionString: given('DATABASE_URL'), max: 10 })
const redis = env['REDIS_URL'] === undefined ? null : new Redis(env['REDIS_URL'])
/** A common set-up: mounted in Express, with the library's default signing algorithm. */
const isTypical = env['TYPICAL'] === 'yes'
const alg = isTypical ? 'RS256' : 'ES256'
const { privateKey } = isTypical
  ? generateKeyPairSync('rsa', { modulusLength: 2048 })
  : generateKeyPairSync('ec', { namedCurve: 'P-256' })
const { privateKey: rsaKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })

const provider = new Provider(given('ISSUER'), {
  adapter: (type) => (redis === null ? new PostgresAdapter(pool, type) : new RedisAdapter(redis, type)),
  clients: (JSON.parse(given('APPS')) as Credentials[]).map(({ id, secret }) => ({
    client_id: id,
    client_secret: secret,
    ...(id === SERVICE
      ? { redirect_uris: [], response_types: [], grant_types: ['client_credentials'] }
      : { redirect_uris: [given('REDIRECT_URI')], grant_types: ['authorization_code', 'refresh_token'] }),
    token_endpoint_auth_method: 'client_secret_basic',
    id_token_signed_response_alg: 'RS256',
  })),
  jwks: {
    keys: [
      { ...privateKey.export({ format: 'jwk' }), alg, use: 'sig' },
      { ...rsaKey.export({ format: 'jwk' }), alg: 'RS256', use: 'sig' },
    ],
  },
  cookies: { keys: [given('COOKIE_KEY')] },
  // Only so that one load generator fits every subject.
  routes: {
    authorization: '/oauth/authorize',
    token: '/oauth/token',
    jwks: '/oauth/jwks',
    userinfo: '/oauth/userinfo',
    introspection: '/oauth/introspect',
  },
  async findAccount(_ctx, id) {
    const { rows } = await pool.query<{ id: string; username: string; email: string }>(
      'SELECT id, username, email FROM accounts WHERE id = $1',
      [id],
    )
    const account = rows[0]
    return (
      account && {
        accountId: account.id,
        claims: () => ({
          sub: account.id,
          name: account.username,
          preferred_username: account.username,
          email: account.email,
          email_verified: false,
        }),
      }
    )
  },
  claims: {
    openid: ['sub'],
    profile: ['name', 'preferred_username'],
    email: ['email', 'email_verified'],
  },
  rotateRefreshToken: true,
  issueRefreshToken: async () => true,
  // As in the portal, a refresh does not read the browser's session; that would cost one more look-up.
  expiresWithSession: async () => false,
  ttl: {
    AccessToken: APPLICATION_TOKEN_LIFE,
    AuthorizationCode: 60,
    IdToken: 600,
    Interaction: 3600,
    Grant: 90 * 86_400,
    RefreshToken: 30 * 86_400,
    Session: 14 * 86_400,
  },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: true },
    introspection: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: (_ctx, client, oneOf) => oneOf?.[0] ?? (client.clientId === OPAQUE_APP ? undefined : AUDIENCE),
      getResourceServerInfo: () => ({
        scope: SCOPE,
        audience: AUDIENCE,
        accessTokenTTL: APPLICATION_TOKEN_LIFE,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg } },
      }),
      useGrantedResource: () => true,
    },
  },
})
provider.on('server_error', (_ctx, error) => console.error(error))

const callback = provider.callback()
const handle = isTypical ? express().use(callback) : callback
createServer({ keepAliveTimeout: 65_000 }, (req, res) => void handle(req, res)).listen(
  Number(given('PORT')),
  '127.0.0.1',
)
process.once('SIGTERM', () => process.exit(0))

function given(name: string): string {
  const value = env[name]
  if (value === undefined) throw new Error(`${name} is not set; npm run bench starts this`)
  return value
}
