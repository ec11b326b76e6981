import {
  ConstraintViolationError,
  InappropriateAuthError,
  InvalidCredentialsError,
  NoSuchObjectError,
  PasswordPolicyControl,
  PasswordPolicyError,
  UnwillingToPerformError,
} from 'ldapts'
import type { PasswordVerdict } from '../../domain/identity-source.ts'
import type { Connection } from './connection.ts'

/**
 * Whether the user of this DN has this password: the directory lets them bind, or it does not.
 * @throws ResultCodeError for an answer that says nothing about the password
 */
export async function verdictOf(connection: Connection, dn: string, password: string): Promise<PasswordVerdict> {
  if (password === '') return 'wrong'
  const policy = new PasswordPolicyControl()
  try {
    await connection.bind(dn, password, [policy])
    return mustChange(policy) ? 'expired' : 'matches'
  } catch (error) {
    if (error instanceof InvalidCredentialsError)
      return mustChange(policy) || EXPIRED_IN_WINDOWS.test(error.message) ? 'expired' : 'wrong'
    if (REFUSALS.some((refusal) => error instanceof refusal)) return 'wrong'
    throw error
  }
}

/** That a password has expired, or was reset, is said to those who know it alone. */
function mustChange({ value }: PasswordPolicyControl): boolean {
  return (
    value?.error === PasswordPolicyError.PasswordExpired ||
    value?.error === PasswordPolicyError.ChangeAfterReset ||
    value?.graceAuthNsRemaining !== undefined
  )
}

/** ERROR_PASSWORD_EXPIRED and ERROR_PASSWORD_MUST_CHANGE, of those who know the password. */
const EXPIRED_IN_WINDOWS = /\bdata (?:532|773)\b/

/** An account without a password, one that is gone since it was found, and accounts that 389 Directory Server has locked. */
const REFUSALS = [InappropriateAuthError, NoSuchObjectError, ConstraintViolationError, UnwillingToPerformError]
