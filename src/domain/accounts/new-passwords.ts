import { ipKey } from '../limits/ip-keys.ts'
import type { PasswordVerdict } from '../passwords/password-judge.ts'
import type { ClientInfo } from '../client-info.ts'
import type { Services } from '../services.ts'
import { hasSecondFactor } from '../sign-in/second-factors.ts'

/** Whose password it will be. */
interface Owner {
  id: string
  username: string
  email: string
}

/** Judges the new password of an existing account. */
export async function judgeNewPassword(
  services: Services,
  { id, username, email }: Owner,
  password: string,
  { address }: ClientInfo,
): Promise<PasswordVerdict> {
  const isSecondFactorAsked = await hasSecondFactor(services, id)
  return services.passwords.judge(password, [username, email], isSecondFactorAsked, ipKey(address))
}

/** How many characters the new password of this identity must have. */
export async function newPasswordLength(services: Services, identityId: string): Promise<number> {
  const { passwordLength, passwordLengthWithSecondFactor } = services.policy
  return (await hasSecondFactor(services, identityId)) ? passwordLengthWithSecondFactor : passwordLength
}
