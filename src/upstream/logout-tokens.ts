import { createRemoteJWKSet, customFetch, jwtVerify } from 'jose'
import type { Configuration } from 'openid-client'
import { UpstreamFailure, type UpstreamLogout, type UpstreamProvider } from '../domain/upstream.ts'
import { boundedFetch, TIMEOUT_MS } from './bounded-fetch.ts'
import { readSid } from './claims.ts'

const LOGOUT_EVENT = 'http://schemas.openid.net/event/backchannel-logout'
/** A logout token is sent at once; an older one is a replay (seconds). */
const OLDEST = 600
const TOLERANCE = 60
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']

const keySets = new WeakMap<Configuration, ReturnType<typeof createRemoteJWKSet>>()

/** Verifies a logout token (OpenID Connect Back-Channel Logout 1.0 §2.6). @throws UpstreamFailure */
export async function verifyLogoutToken(
  configuration: Configuration,
  { clientId }: UpstreamProvider,
  token: string,
  now: Date,
): Promise<UpstreamLogout> {
  const { payload, protectedHeader } = await jwtVerify(token, keysOf(configuration), {
    issuer: configuration.serverMetadata().issuer,
    audience: clientId,
    algorithms: ALGORITHMS,
    requiredClaims: ['exp', 'iat', 'jti', 'events'],
    maxTokenAge: OLDEST,
    clockTolerance: TOLERANCE,
    currentDate: now,
  })
  // An ID token must not pass for one (§2.4); some providers write no type, or JWT.
  const { typ = 'logout+jwt' } = protectedHeader
  if (!/^(?:application\/)?(?:logout\+jwt|jwt)$/i.test(typ)) throw invalid('its type is another')
  const { events, jti, iat, exp, nonce } = payload
  if (!isObject(events) || !isObject(events[LOGOUT_EVENT])) throw invalid('it has no logout event')
  if (nonce !== undefined) throw invalid('it has a nonce, as ID tokens have')
  const [subject, sid] = [readSid(payload.sub), readSid(payload['sid'])]
  if (typeof jti !== 'string' || jti === '') throw invalid('its jti is no text')
  if (subject === null && sid === null) throw invalid('it names neither an account nor a session')
  // A claim that cannot be read must not make it a logout of more.
  if ((payload.sub !== undefined && subject === null) || (payload['sid'] !== undefined && sid === null))
    throw invalid('its account or session is no text')
  // However long it says that it lives: it is refused once it is that old.
  const until = Math.min(exp ?? 0, (iat ?? 0) + OLDEST)
  return { jti, subject, sid, expiresAt: new Date((until + TOLERANCE) * 1000) }
}

/** Asked for again when a key is missing, but not more often than every half minute. */
function keysOf(configuration: Configuration) {
  const known = keySets.get(configuration)
  if (known !== undefined) return known
  const { jwks_uri: uri } = configuration.serverMetadata()
  if (uri === undefined) throw invalid('the provider has no keys')
  const keys = createRemoteJWKSet(new URL(uri), {
    [customFetch]: async (url, options) => boundedFetch(url, { ...options, body: undefined, headers: {} }),
    timeoutDuration: TIMEOUT_MS,
  })
  keySets.set(configuration, keys)
  return keys
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function invalid(why: string): UpstreamFailure {
  return new UpstreamFailure('invalid', `the logout token is refused: ${why}`)
}
