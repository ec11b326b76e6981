import { ipKey } from '../limits/ip-keys.ts'
import type { PasswordVerdict } from '../passwords/password-judge.ts'
import type { ClientInfo } from '../client-info.ts'
import { type Message, message } from '../../i18n/messages.ts'
import { SourceUnavailable } from '../identity-source.ts'
import { readableReason } from '../identities/source-users.ts'
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

/** Whether the password of this user can be set here: a user of the identity source chooses it there, unless that offers it. */
export function setsPasswordOf({ identitySource }: Services, { sourceId }: { sourceId: string | null }): boolean {
  return sourceId === null || (identitySource?.setPassword ?? null) !== null
}

/** Whether the password of every user can be set here. */
export function setsPasswordOfAll({ identitySource }: Services): boolean {
  return identitySource === null || identitySource.setPassword !== null
}

/**
 * Sets the password of a user of the identity source, which may refuse it; does nothing for an account that is here alone.
 * @returns what is wrong with it; null when it is set @throws SourceUnavailable
 */
export async function setInSource(
  { identitySource }: Services,
  { sourceId }: { sourceId: string | null },
  password: string,
): Promise<Message | null> {
  if (sourceId === null) return null
  const setPassword = identitySource?.setPassword ?? null
  if (setPassword === null) throw new SourceUnavailable('the identity source sets no passwords any more')
  const outcome = await setPassword(sourceId, password)
  return outcome.kind === 'changed' ? null : message('source.refused', { reason: readableReason(outcome.reason) })
}
