import { type Message, message } from '../../i18n/messages.ts'

/** What an app with these scopes sees of an account, a line each. The scopes of its own API say nothing about a user. */
export function seenBy(scopes: readonly string[]): Message[] {
  const seen = [
    ...(scopes.includes('profile') ? [message('introduction.sees_user_name')] : []),
    ...(scopes.includes('email') ? [message('introduction.sees_email')] : []),
    ...(scopes.includes('roles') ? [message('introduction.sees_roles')] : []),
  ]
  return seen.length > 0 ? seen : [message('introduction.sees_account')]
}

/** The same in one sentence about the future, for the sign-in page of the app. */
export function willSee(app: string, scopes: readonly string[]): Message {
  const name = scopes.includes('profile')
  const email = scopes.includes('email')
  const what = name && email ? 'both' : name ? 'name' : email ? 'email' : 'account'
  return message('introduction.will_see', { app, what })
}
