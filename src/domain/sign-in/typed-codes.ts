import { zeroOf } from '../identities/user-names.ts'

/** A code as it was made, whatever its digits were typed in, and whatever came along: spaces, hyphens, invisible characters. */
export function plainCode(typed: string): string {
  return typed
    .normalize('NFKC')
    .replaceAll(/[\s\p{Pd}\u2212\p{Default_Ignorable_Code_Point}]/gu, '')
    .replaceAll(/\p{Nd}/gu, (digit) => String((digit.codePointAt(0) as number) - zeroOf(digit)))
}

/** True for what can only be meant as a recovery code, because an authenticator app shows digits. */
export function isRecoveryCode(typed: string): boolean {
  const code = plainCode(typed)
  return code.length > 8 || /\D/.test(code)
}
