import { createHash, randomBytes } from 'node:crypto'
import type { AppRow } from '../../domain/apps/apps.ts'
import type { Call, InnerAnswer } from './call.ts'
import { SimpleRefusal } from './codes.ts'
import { refusalOf } from './protocol-refusals.ts'

const CHALLENGE = '/oauth/authorize-challenge'
const TOKEN = '/oauth/token'

/** What a login is sent with. */
export interface LoginInput {
  login?: string | undefined
  username?: string | undefined
  email?: string | undefined
  password?: string | undefined
  scope?: string | undefined
  auth_session?: string | undefined
  totp?: string | undefined
  recovery_code?: string | undefined
  passkey?: object | undefined
  terms_version?: string | undefined
  email_code?: string | undefined
  send_email_code?: true | undefined
}

/** The tokens of a user who logs in, with the authorization challenge endpoint and the token endpoint. @throws SimpleRefusal */
export async function logIn(call: Call, input: LoginInput): Promise<Record<string, unknown>> {
  const { auth_session: session, login: name, username, email, scope, passkey, send_email_code: asks, ...rest } = input
  const answers = {
    ...rest,
    passkey: passkey === undefined ? undefined : JSON.stringify(passkey),
    send_email_code: asks === undefined ? undefined : 'true',
  }
  if (session !== undefined) {
    const [secret = '', verifier = ''] = session.split('.')
    return goOn(call, { auth_session: secret, ...answers }, verifier)
  }
  const named = [name, username, email].filter((each) => each !== undefined)
  if (named.length !== 1 || rest.password === undefined)
    throw new SimpleRefusal('invalid_request', 'username or email, and password, are needed')
  return logInAs(call, { ...answers, login: named[0] }, scope)
}

/** The same for a first request with these answers. @throws SimpleRefusal */
export async function logInAs(
  call: Call,
  answers: Record<string, string | undefined>,
  scope?: string,
): Promise<Record<string, unknown>> {
  const verifier = mintVerifier()
  return goOn(call, { ...requestOf(call.app, verifier, scope), ...answers }, verifier)
}

async function goOn(
  call: Call,
  fields: Record<string, string | undefined>,
  verifier: string,
): Promise<Record<string, unknown>> {
  const { status, body, ...answer } = await call.ask(CHALLENGE, fields)
  if (status !== 200) throw refusalOf({ status, body: withVerifier(body, verifier), ...answer })
  const code = body?.['authorization_code'] as string
  const form = { grant_type: 'authorization_code', code, code_verifier: verifier }
  return tokensOf(await call.ask(TOKEN, form, true))
}

/** The answer of the token endpoint. @throws SimpleRefusal */
export function tokensOf(answer: InnerAnswer): Record<string, unknown> {
  if (answer.status !== 200 || answer.body === null) throw refusalOf(answer)
  return answer.body
}

/** The client keeps the verifier of PKCE (RFC 7636) with the session, as any client does, so that nothing more is stored here. */
function withVerifier(body: InnerAnswer['body'], verifier: string): InnerAnswer['body'] {
  const secret = body?.['auth_session']
  return typeof secret === 'string' ? { ...body, auth_session: `${secret}.${verifier}` } : body
}

function mintVerifier(): string {
  return randomBytes(32).toString('base64url')
}

/** The authorization request of a login: for every scope of the app, but none that a page must ask about. */
function requestOf(app: AppRow | null, verifier: string, scope?: string): Record<string, string> {
  const all = app?.scope.split(' ').filter((each) => each !== 'offline_access')
  return {
    response_type: 'code',
    scope: scope ?? all?.join(' ') ?? 'openid',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  }
}
