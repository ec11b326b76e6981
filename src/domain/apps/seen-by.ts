import { type Message, message } from '../../i18n/messages.ts'
import type { AppRow } from '../../storage/apps.ts'
import { IDENTITY_CLAIMS } from '../identities/claims.ts'

/** What an app sees of an account: what these scopes stand for, and the claims that it has configured. */
export interface Seen {
  scopes: readonly string[]
  claims: readonly string[]
}

/** What an app sees with these scopes: the claims of its tokens are there whatever it asks for. */
export function seenOf(
  app: Pick<AppRow, 'idTokenClaims' | 'applicationTokenClaims' | 'attributeClaims'>,
  scopes: readonly string[],
): Seen {
  const claims = [...app.idTokenClaims, ...app.applicationTokenClaims, ...Object.keys(app.attributeClaims as object)]
  return { scopes, claims: [...new Set(claims)] }
}

/** The same, a line each. The scopes of its own API say nothing about a user. */
export function seenBy({ scopes, claims }: Seen): Message[] {
  const sees = (scope: string, ...names: string[]) =>
    scopes.includes(scope) || names.some((name) => claims.includes(name))
  const recorded = claims.filter((claim) => !(IDENTITY_CLAIMS as readonly string[]).includes(claim))
  const seen = [
    ...(sees('profile', 'username', 'preferred_username', 'name') ? [message('introduction.sees_user_name')] : []),
    ...(sees('profile', ...PROFILE_CLAIMS) ? [message('introduction.sees_profile')] : []),
    ...(sees('email', 'email', 'email_verified') ? [message('introduction.sees_email')] : []),
    ...(sees('address', 'address') ? [message('introduction.sees_address')] : []),
    ...(sees('phone', 'phone_number') ? [message('introduction.sees_phone')] : []),
    ...(sees('roles', 'roles') ? [message('introduction.sees_roles')] : []),
    ...(sees('groups', 'groups') ? [message('introduction.sees_groups')] : []),
    ...(recorded.length > 0 ? [message('introduction.sees_attributes', { names: recorded.join(', ') })] : []),
  ]
  return seen.length > 0 ? seen : [message('introduction.sees_account')]
}

const PROFILE_CLAIMS = ['name', 'given_name', 'family_name', 'nickname', 'picture', 'locale', 'zoneinfo']

/** The same in one sentence about the future, for the sign-in page of the app. */
export function willSee(app: string, { scopes, claims }: Seen): Message {
  const sees = (...names: string[]) => names.some((name) => scopes.includes(name) || claims.includes(name))
  const name = sees('profile', 'name', 'username', 'preferred_username')
  const email = sees('email')
  const profile = sees('address', 'phone', 'phone_number', ...PROFILE_CLAIMS.filter((each) => each !== 'name'))
  const what = profile ? 'profile' : name && email ? 'both' : name ? 'name' : email ? 'email' : 'account'
  return message('introduction.will_see', { app, what })
}
