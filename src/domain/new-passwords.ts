import type { PasswordVerdict } from './password-judge.ts'
import type { Portal } from './portal.ts'

/** Judges a password that somebody with an account wants to have from now on. @throws EstimatorBusy */
export async function judgeNewPassword(
  portal: Portal,
  { username, email }: { username: string; email: string },
  password: string,
): Promise<PasswordVerdict> {
  return portal.passwords.judge(password, [username, email], false)
}
