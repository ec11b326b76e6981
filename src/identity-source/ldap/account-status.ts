import type { Entry } from 'ldapts'
import type { SourceUser } from '../../domain/identity-source.ts'
import { valueOf } from './attribute-values.ts'

/** The attributes that say whether an account is disabled. Some are operational, so each has to be asked for by name. */
export const STATUS_ATTRIBUTES = ['userAccountControl', 'accountExpires', 'pwdAccountLockedTime', 'nsAccountLock']

/**
 * An account that was locked because of wrong passwords is active: a stranger who guesses must not end the sign-ins of its
 * user, and the directory accepts no password meanwhile.
 */
export function statusOf(entry: Entry, now: Date): SourceUser['status'] {
  const isDisabled =
    (Number(valueOf(entry, 'userAccountControl') ?? 0) & ACCOUNTDISABLE) !== 0 ||
    hasExpired(valueOf(entry, 'accountExpires'), now) ||
    valueOf(entry, 'pwdAccountLockedTime') === LOCKED_FOR_GOOD ||
    valueOf(entry, 'nsAccountLock')?.toLowerCase() === 'true'
  return isDisabled ? 'disabled' : 'active'
}

/** Of Active Directory (MS-ADTS §2.2.16). */
const ACCOUNTDISABLE = 2
/** Of an operator, who locks for no time but until further notice (draft-behera-ldap-password-policy §5.3.3). */
const LOCKED_FOR_GOOD = '000001010000Z'

/** @param expires in 100 ns since 1601, UTC; 0 and the largest number are never (MS-ADA1 §2.2) */
function hasExpired(expires: string | null, now: Date): boolean {
  if (expires === null || !/^\d{1,19}$/.test(expires)) return false
  const ticks = BigInt(expires)
  return ticks !== 0n && ticks !== NEVER && ticks <= BigInt(now.getTime() - EPOCH_OF_WINDOWS) * 10_000n
}

const NEVER = 0x7fffffffffffffffn
const EPOCH_OF_WINDOWS = Date.UTC(1601)
