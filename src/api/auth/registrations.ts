import type { Call } from './call.ts'
import { logInAs } from './logins.ts'

export interface RegistrationInput {
  username: string
  email: string
  password: string
  password_confirmation: string
  roles?: string[] | undefined
  terms_version?: string | undefined
}

/** Registers a user at the authorization challenge endpoint, and logs them in. @throws SimpleRefusal */
export async function register(
  call: Call,
  { roles = [], ...fields }: RegistrationInput,
): Promise<Record<string, unknown>> {
  return logInAs(call, { ...fields, register: 'true', ...(roles.length === 0 ? {} : { roles: roles.join(' ') }) })
}
