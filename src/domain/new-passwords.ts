import { passwordProblem } from './passwords.ts'

/** What becomes of a password somebody wants to have: the words on what is wrong with it, and whether it does alone. */
export interface NewPasswordVerdict {
  problem: string | null
  standsAlone: boolean
}

/** Judges a password that somebody chooses, be it at registration, at a reset or at a change. */
export function judgeNewPassword(password: string, owner: { username: string; email: string }): NewPasswordVerdict {
  const personal = [owner.username, owner.email, owner.email.split('@')[0] ?? '']
  return { problem: passwordProblem(password, personal), standsAlone: true }
}
