import { z } from 'zod'

/** One thing that the portal may ask: `POST {base}/{path}` with `input`; the answer has status 200 and is `answer`. */
export interface Operation<I extends z.ZodType = z.ZodType, A extends z.ZodType = z.ZodType> {
  path: string
  summary: string
  description: string
  input: I
  answer: A
}

/** How many ids one request for statuses has. */
export const BATCH = 500
/** What is read of an answer (bytes). */
export const ANSWER_LIMIT = 256 * 1024
/** What the body of a request has at most (bytes); a source refuses more. */
export const REQUEST_LIMIT = 256 * 1024

/** One line without control characters or lone surrogates. */
function line(max: number) {
  return z
    .string()
    .max(max)
    .regex(/^[^\p{Cc}\p{Cs}]*$/u)
}

function named(max: number) {
  return line(max).min(1)
}

export const userId = z
  .string()
  .regex(/^[\x21-\x7e]{1,200}$/)
  .describe('Never changes, and is never given to another user. Printable ASCII without spaces.')

const webUrl = line(2000).regex(/^https?:\/\//)

/** Standard claims of OpenID Connect (Core §5.1). Others are left out. */
const claims = z
  .object({
    name: line(300),
    given_name: line(300),
    family_name: line(300),
    middle_name: line(300),
    nickname: line(300),
    profile: webUrl,
    picture: webUrl,
    website: webUrl,
    gender: line(100),
    birthdate: line(10).regex(/^(\d{4}(-\d{2}-\d{2})?|\d{4}-\d{2})$/),
    zoneinfo: line(100),
    locale: line(100),
    phone_number: line(100),
    phone_number_verified: z.boolean(),
    address: z
      .object({
        formatted: z
          .string()
          .max(1000)
          .regex(/^[^\p{Cs}\0]*$/u),
        street_address: z
          .string()
          .max(1000)
          .regex(/^[^\p{Cs}\0]*$/u),
        locality: line(300),
        region: line(300),
        postal_code: line(100),
        country: line(300),
      })
      .partial(),
    updated_at: z.number().int().nonnegative(),
  })
  .partial()
  .describe('Standard claims of OpenID Connect (Core, section 5.1). Members that are not listed here are ignored.')

const username = named(100)
const email = line(254)
  .regex(/^[^\s@]+@[^\s@]+$/)
  .describe('An e-mail address.')

export const sourceUser = z
  .object({
    id: userId,
    username: username.describe('What the user may sign in with beside the e-mail address.'),
    email,
    email_verified: z.boolean().describe('Whether the source knows that the address is theirs.'),
    status: z.enum(['active', 'disabled']),
    roles: z.array(named(100)).max(100).default([]).describe('Roles of the portal; one that it lacks is ignored.'),
    claims: claims.default({}),
  })
  .meta({ id: 'User' })

const password = z
  .string()
  .max(4096)
  .regex(/^[^\p{Cs}\0]*$/u)
  .describe('As the user typed it. Never log it.')
const reason = named(300).describe('One sentence, which the user reads.')

export const OPERATIONS = {
  capabilities: {
    path: 'capabilities',
    summary: 'What this source can do',
    description: 'The portal asks when it starts, and then at most once a minute.',
    input: z.object({}),
    answer: z.object({
      protocol: z.literal('gatehouse-identity-source'),
      version: z.literal(1),
      operations: z
        .array(z.string().max(100))
        .max(100)
        .describe('The optional operations that it has: `create`, `set-password`. Others are ignored.'),
      time: z.iso.datetime({ offset: true }).describe('The clock of the source.'),
    }),
  },
  find: {
    path: 'find',
    summary: 'Find a user by what they typed to sign in',
    description:
      'A user name or an e-mail address, compared as the source does; `null` where there is no such user. A disabled user is found.',
    input: z.object({ login: named(320) }),
    answer: z.object({ user: sourceUser.nullable() }),
  },
  user: {
    path: 'user',
    summary: 'Find a user by id',
    description: 'The user with claims and roles as they are now; `null` where the source no longer has them.',
    input: z.object({ id: userId }),
    answer: z.object({ user: sourceUser.nullable() }),
  },
  statuses: {
    path: 'statuses',
    summary: 'The status of many users',
    description:
      'One entry for every id that was asked for, and no other: `gone` for an id that the source does not have.',
    input: z.object({ ids: z.array(userId).min(1).max(BATCH) }),
    answer: z.object({
      statuses: z.array(z.object({ id: userId, status: z.enum(['active', 'disabled', 'gone']) })).max(BATCH),
    }),
  },
  verifyPassword: {
    path: 'verify-password',
    summary: 'Compare a password',
    description:
      '`expired`: it matches, and must be replaced first. An unknown id is `wrong`, and should take as long as a wrong password. The portal limits guesses; a source that also does must not answer 429 for one user.',
    input: z.object({ id: userId, password }),
    answer: z.object({ id: userId, verdict: z.enum(['matches', 'wrong', 'expired']) }),
  },
  create: {
    path: 'create',
    summary: 'Create a user (optional)',
    description: '`taken`: another user has this user name or e-mail address. The address is not verified yet.',
    input: z.object({ username, email, password }),
    answer: z.discriminatedUnion('result', [
      z.object({ result: z.literal('created'), user: sourceUser }),
      z.object({ result: z.literal('taken') }),
      z.object({ result: z.literal('refused'), reason }),
    ]),
  },
  setPassword: {
    path: 'set-password',
    summary: 'Set a password (optional)',
    description: 'The portal has verified the user. An unknown id is `refused`.',
    input: z.object({ id: userId, password }),
    answer: z.discriminatedUnion('result', [
      z.object({ id: userId, result: z.literal('changed') }),
      z.object({ id: userId, result: z.literal('refused'), reason }),
    ]),
  },
} satisfies Record<string, Operation>

export type OperationName = keyof typeof OPERATIONS
export type InputOf<N extends OperationName> = z.input<(typeof OPERATIONS)[N]['input']>
export type AnswerOf<N extends OperationName> = z.output<(typeof OPERATIONS)[N]['answer']>

/** What a source tells the portal of its own accord: `POST {PUBLIC_URL}/api/identity-source/events`, at most 100 at once. */
export const sourceEvents = z.object({
  events: z
    .array(
      z.object({
        id: userId,
        type: z
          .enum(['disabled', 'enabled', 'changed', 'password_changed', 'deleted'])
          .describe('`changed`: name, address, claims or roles; the portal asks for them.'),
      }),
    )
    .min(1)
    .max(100),
})
