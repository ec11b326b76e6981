import { addressKey } from '../limits/ip-keys.ts'
import type { PasswordVerdict } from '../passwords/password-judge.ts'
import type { Place } from '../client-info.ts'
import type { Portal } from '../services.ts'
import { hasSecondFactor } from '../sign-in/second-factors.ts'

/** Whose password it will be. */
interface Owner {
  id: string
  username: string
  email: string
}

/** Judges a password that somebody with an account wants to have from now on. */
export async function judgeNewPassword(
  portal: Portal,
  { id, username, email }: Owner,
  password: string,
  { address }: Place,
): Promise<PasswordVerdict> {
  const isSecondFactorAsked = await hasSecondFactor(portal, id)
  return portal.passwords.judge(password, [username, email], isSecondFactorAsked, addressKey(address))
}

/** How many characters the new password of this identity must have. */
export async function newPasswordLength(portal: Portal, identityId: string): Promise<number> {
  const { passwordLength, passwordLengthWithSecondFactor } = portal.policy
  return (await hasSecondFactor(portal, identityId)) ? passwordLengthWithSecondFactor : passwordLength
}
