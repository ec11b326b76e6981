import { hash } from 'node:crypto'
import { loginKeyOf } from '../limits/login-keys.ts'
import { canonicalUserName, userNameProblem } from './user-names.ts'

/**
 * User names for a user of another system that had none: what is before the @ of the e-mail address, and the same with a suffix
 * that is different for each address, in case the first is taken. They are the same whenever they are derived.
 */
export function derivedUserNames(email: string): [string, string] {
  const [local = ''] = email.split('@')
  const [person = ''] = local.split('+')
  const name = canonicalUserName(person)
    .replaceAll(/[^\p{L}\p{Nd}._-]/gu, '-')
    .replace(/^[._-]+/, '')
    .slice(0, LONGEST)
  const base = userNameProblem(name) === null ? name : 'user'
  return [base === name ? name : `user-${suffixOf(email)}`, `${base}-${suffixOf(email)}`]
}

const LONGEST = 48

/** Of small letters and digits. */
function suffixOf(email: string): string {
  return BigInt(`0x${hash('sha256', loginKeyOf(email)).slice(0, 16)}`)
    .toString(36)
    .slice(0, 6)
}
