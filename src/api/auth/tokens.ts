import type { Call } from './call.ts'
import { SimpleRefusal } from './codes.ts'
import { tokensOf } from './logins.ts'
import { codeOfReason, refusalOf } from './protocol-refusals.ts'

/** Rotates a refresh token at the token endpoint. @throws SimpleRefusal */
export async function refresh(
  call: Call,
  { refresh_token: token, scope }: { refresh_token: string; scope?: string | undefined },
): Promise<Record<string, unknown>> {
  return tokensOf(await call.ask('/oauth/token', { grant_type: 'refresh_token', refresh_token: token, scope }))
}

/** What the introspection says of an active application token. @throws SimpleRefusal for any other */
export async function verify(call: Call, { token }: { token: string }): Promise<Record<string, unknown>> {
  const answer = await call.ask('/oauth/introspect', { token, token_type_hint: 'access_token' })
  const { status, body } = answer
  if (status !== 200 || body === null) throw refusalOf(answer)
  // A refresh token has no family among its claims, and a service no user.
  if (body['active'] === true && typeof body['fam'] === 'string') return body
  const { reason } = body
  throw new SimpleRefusal(codeOfReason(reason), undefined, {
    active: false,
    ...(reason === undefined ? {} : { reason }),
  })
}

/** What may be asked about a token. */
export interface Question {
  token: string
  role?: string | undefined
  scope?: string | undefined
  permission?: string | undefined
}

/**
 * Whether the user of a token has a role, and the token every scope of a list. A permission is one or the other, because apps name
 * what they permit as they like. @throws SimpleRefusal for a token that is not active, and without a question
 */
export async function authorize(
  call: Call,
  { token, role, scope, permission }: Question,
): Promise<Record<string, unknown>> {
  if (role === undefined && scope === undefined && permission === undefined)
    throw new SimpleRefusal('invalid_request', 'role, scope or permission is needed')
  const claims = await verify(call, { token })
  const roles = claims['roles'] as string[]
  const scopes = ((claims['scope'] as string | undefined) ?? '').split(' ')
  const missing = [
    ...(role === undefined || roles.includes(role) ? [] : ['role']),
    ...(scope === undefined || scope.split(' ').every((each) => scopes.includes(each)) ? [] : ['scope']),
    ...(permission === undefined || [...roles, ...scopes].includes(permission) ? [] : ['permission']),
  ]
  return { allowed: missing.length === 0, missing, sub: claims['sub'] }
}

/** Ends what a refresh token belongs to, at the revocation endpoint; also for one that has ended already. @throws SimpleRefusal */
export async function logOut(call: Call, { refresh_token: token }: { refresh_token: string }): Promise<object> {
  const answer = await call.ask('/oauth/revoke', { token, token_type_hint: 'refresh_token' })
  if (answer.status !== 200) throw refusalOf(answer)
  return {}
}
