import { z } from 'zod'
import type { Call } from './call.ts'
import type { SimpleCode } from './codes.ts'
import { logIn } from './logins.ts'
import { register } from './registrations.ts'
import { authorize, logOut, refresh, verify } from './tokens.ts'

/** One path of the API that takes JSON. */
export interface Route {
  name: string
  summary: string
  input: z.ZodObject
  output: z.ZodType
  /** Of success. */
  status: number
  /** The refusals of its own; those of every request are not named. */
  codes: SimpleCode[]
  act(call: Call, input: never): Promise<object>
}

const text = (longest: number) =>
  z
    .string()
    .min(1)
    .max(longest)
    .refine((value) => value.isWellFormed() && !value.includes('\0'), 'has characters that are not allowed')

const CLIENT = {
  client_id: text(200).optional().describe('Of the app, where it does not authenticate with HTTP Basic.'),
  client_secret: text(200).optional(),
}

const tokens = z
  .looseObject({
    access_token: z.string().describe('The application token.'),
    token_type: z.enum(['Bearer', 'DPoP']),
    expires_in: z.number().int().describe('Seconds.'),
    refresh_token: z.string().describe('It is good once; each answer has the next.'),
    id_token: z.string().optional(),
    scope: z.string().optional(),
  })
  .meta({ id: 'Tokens' })

const STEP: SimpleCode[] = [
  'second_factor_required',
  'email_code_required',
  'terms_required',
  'step_required',
  'browser_required',
  'access_denied',
  'throttled',
]
const TOKEN: SimpleCode[] = ['token_expired', 'token_invalid', 'family_ended']
const token = text(10_000).describe('An application token of this app.')
const refreshToken = text(1000)
const termsVersion = text(100).optional().describe('Of the terms of use that the user has accepted.')

/** The API, in the order of the life of a user. */
export const ROUTES: Record<string, Route> = {
  '/register': {
    name: 'register',
    summary: 'Register a user and log them in.',
    input: z.strictObject({
      ...CLIENT,
      username: text(320),
      email: text(320),
      password: text(4096),
      password_confirmation: text(4096),
      roles: z
        .array(text(64).regex(/^\S+$/))
        .max(20)
        .optional()
        .describe('Roles that users may give themselves in this app.'),
      terms_version: termsVersion,
    }),
    output: tokens,
    status: 201,
    codes: ['registration_refused', 'registration_closed', 'role_not_assignable', ...STEP],
    act: register,
  },
  '/login': {
    name: 'login',
    summary: 'Log a user in, or go on with a login that needs more.',
    input: z.strictObject({
      ...CLIENT,
      username: text(320).optional(),
      email: text(320).optional(),
      login: text(320).optional().describe('A user name or an e-mail address.'),
      password: text(4096).optional(),
      scope: text(2000).optional().describe('Separated by spaces; all of the app where it is missing.'),
      auth_session: text(250).optional().describe('Of the answer before.'),
      totp: text(64).optional().describe('The code of an authenticator app.'),
      recovery_code: text(64).optional(),
      email_code: text(64).optional().describe('The code that was sent by mail.'),
      send_email_code: z.literal(true).optional().describe('Sends it once more.'),
      terms_version: termsVersion,
      passkey: z.looseObject({}).optional().describe('A WebAuthn assertion for passkey_options.'),
    }),
    output: tokens,
    status: 200,
    codes: [
      'credentials_invalid',
      'second_factor_invalid',
      'email_code_invalid',
      'session_invalid',
      'invalid_scope',
      ...STEP,
    ],
    act: logIn,
  },
  '/refresh': {
    name: 'refresh',
    summary: 'Exchange a refresh token for the next tokens.',
    input: z.strictObject({ ...CLIENT, refresh_token: refreshToken, scope: text(2000).optional() }),
    output: tokens,
    status: 200,
    codes: ['invalid_scope', ...TOKEN],
    act: refresh,
  },
  '/verify': {
    name: 'verify',
    summary: 'Check an application token, and read its claims.',
    input: z.strictObject({ ...CLIENT, token }),
    output: z
      .looseObject({
        active: z.literal(true),
        sub: z.string().describe('The user.'),
        scope: z.string().optional(),
        roles: z.array(z.string()).optional(),
        exp: z.number().int(),
      })
      .meta({ id: 'Claims' }),
    status: 200,
    codes: ['token_outdated', ...TOKEN],
    act: verify,
  },
  '/authorize': {
    name: 'authorize',
    summary: 'Ask whether a token has a role, a scope, or a permission, which is one or the other.',
    input: z.strictObject({
      ...CLIENT,
      token,
      role: text(100).optional(),
      scope: text(2000).optional(),
      permission: text(200).optional(),
    }),
    output: z
      .object({
        allowed: z.boolean(),
        missing: z.array(z.enum(['role', 'scope', 'permission'])),
        sub: z.string(),
      })
      .meta({ id: 'Permission' }),
    status: 200,
    codes: ['token_outdated', ...TOKEN],
    act: authorize,
  },
  '/logout': {
    name: 'logout',
    summary: 'End what a refresh token belongs to.',
    input: z.strictObject({ ...CLIENT, refresh_token: refreshToken }),
    output: z.object({}).meta({ id: 'LoggedOut' }),
    status: 200,
    codes: [],
    act: logOut,
  },
}

/** What every one of them can answer. */
export const COMMON_CODES: SimpleCode[] = [
  'invalid_request',
  'invalid_client',
  'invalid_dpop_proof',
  'simple_api_off',
  'body_too_long',
  'unsupported_media_type',
  'misdirected_request',
  'throttled',
  'server_error',
  'unavailable',
]
