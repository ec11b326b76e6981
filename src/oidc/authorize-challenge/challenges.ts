import { errors, type KoaContextWithOIDC } from 'oidc-provider'
import { type AuthSession, endOfDirectSignIn, findAuthSession } from '../../domain/direct-sign-in/auth-sessions.ts'
import type { Answers } from '../../domain/direct-sign-in/steps/step.ts'
import type { Services } from '../../domain/services.ts'
import { LONGEST_CREDENTIAL } from '../../domain/sign-in/passkeys.ts'
import { isRequestTooLong, TOO_LONG } from '../adapters/begun-interactions.ts'
import { authorizationParameters } from '../library-internals.ts'
import { errorOf } from './errors.ts'
import type { Fields } from './bodies.ts'

/** One request of an app for a direct sign-in, as its client sent it. */
export interface Challenge {
  /** The `auth_session` that it goes on with; null for a first request. */
  secret: string | null
  /** What is kept of the sign-in so far; of a first request, what begins with it. */
  session: AuthSession
  answers: Answers
}

/** The longest of each answer (characters), as on the pages. */
const LONGEST: Record<keyof Answers | 'login_hint' | 'auth_session', number> = {
  login: 320,
  username: 320,
  login_hint: 320,
  password: 4096,
  totp: 64,
  recovery_code: 64,
  passkey: LONGEST_CREDENTIAL,
  register: 10,
  email: 320,
  password_confirmation: 4096,
  send_email_code: 10,
  email_code: 64,
  roles: 1400,
  terms_version: 100,
  auth_session: 100,
}

/** May have control characters: as in a password on the pages, and in JSON. */
const OPAQUE = ['password', 'password_confirmation', 'passkey']

/** The parameters by which an app authenticates, which each request has anew. */
const OF_CLIENT = ['client_id', 'client_secret', 'client_assertion', 'client_assertion_type']

/**
 * Reads the request of a client that has authenticated, and puts the authorization request that it belongs to into the body, where
 * the library checks it: with an `auth_session` that of the first request, which no later one can change.
 */
export async function readChallenge(services: Services, ctx: KoaContextWithOIDC): Promise<Challenge> {
  const { client } = ctx.oidc
  if (client === undefined) throw new Error('the endpoint let an unauthenticated client through')
  // An app with the simple API has this endpoint underneath it only.
  const isWithinSimpleApi = client.app.simpleApi && ctx.req.within !== undefined
  if (!client.app.firstPartyDirect && !isWithinSimpleApi)
    throw errorOf(400, 'unauthorized_client', 'this app may not sign users in without a browser')
  const fields = ctx.oidc.body as Fields
  const { login, username, ...others } = answersIn(fields)
  if (login !== undefined && username !== undefined)
    throw new errors.InvalidRequest('login and username are the same, and only one may be there')
  const { auth_session: secret = null, login_hint: hint, ...answers } = others
  const given = requestIn(fields, authorizationParameters(ctx))
  const session =
    secret === null ? begin(services, client.clientId, given) : await goOn(services, secret, client.clientId, given)
  const { request } = session
  const who = login ?? username ?? hint ?? (request['login_hint'] as string | undefined)
  // The page to which the app may have to send its user can fill it in.
  if (secret === null && who !== undefined) request['login_hint'] = who
  ;(ctx.oidc as { body: Fields }).body = { ...request, client_id: client.clientId }
  const named = { ...(who === undefined ? {} : { login: who }), ...(username === undefined ? {} : { username }) }
  return { secret, session, answers: { ...answers, ...named } }
}

function begin(services: Services, clientId: string, given: Fields): AuthSession {
  // Required by the draft, and there is only one.
  const request: Fields = { response_type: 'code', ...given }
  if (request['code_challenge'] === undefined) throw new errors.InvalidRequest('code_challenge is required')
  if (request['request'] !== undefined) throw new errors.RequestNotSupported()
  if (isRequestTooLong(request)) throw new errors.InvalidRequest(TOO_LONG)
  return { clientId, request, jkt: null, x5t: null, progress: { proof: null }, endsAt: endOfDirectSignIn(services) }
}

async function goOn(services: Services, secret: string, clientId: string, given: Fields): Promise<AuthSession> {
  const session = await findAuthSession(services, secret)
  if (session === null || session.clientId !== clientId) throw invalidSession('it is unknown, used or expired')
  for (const [name, value] of Object.entries(given)) {
    if (name !== 'login_hint' && JSON.stringify(value) !== JSON.stringify(session.request[name]))
      throw invalidSession(`it belongs to a request with another ${name}`)
  }
  return session
}

/** @throws an error that is the same for an `auth_session` of someone else as for none */
export function invalidSession(why: string): Error {
  return errorOf(400, 'invalid_session', `the auth_session cannot be used: ${why}`)
}

function answersIn(fields: Fields): { [Name in keyof typeof LONGEST]?: string } {
  const given = Object.entries(LONGEST).flatMap(([name, longest]) => {
    const value = fields[name]
    if (value === undefined || value === '') return []
    if (typeof value !== 'string') throw new errors.InvalidRequest(`${name} must be there once, as text`)
    if (value.length > longest) throw new errors.InvalidRequest(`${name} is too long`)
    if (!OPAQUE.includes(name) && /\p{Cc}/u.test(value))
      throw new errors.InvalidRequest(`${name} has characters that are not allowed`)
    return [[name, value]]
  })
  return Object.fromEntries(given) as { [Name in keyof typeof LONGEST]?: string }
}

/** The parameters of an authorization request; an empty one is none (RFC 6749 §3.1). */
function requestIn(fields: Fields, names: ReadonlySet<string>): Fields {
  return Object.fromEntries(
    Object.entries(fields).filter(([name, value]) => names.has(name) && !OF_CLIENT.includes(name) && value !== ''),
  )
}
