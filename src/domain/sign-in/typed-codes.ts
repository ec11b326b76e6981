import { zeroOf } from '../identities/user-names.ts'

/** Normalizes a typed code: digits of any script become ASCII; spaces, hyphens and invisible characters are removed. */
export function plainCode(typed: string): string {
  return typed
    .normalize('NFKC')
    .replaceAll(/[\s\p{Pd}\u2212\p{Default_Ignorable_Code_Point}]/gu, '')
    .replaceAll(/\p{Nd}/gu, (digit) => String((digit.codePointAt(0) as number) - zeroOf(digit)))
}

/** True for what can only be a recovery code, because an authenticator app (TOTP) shows six digits. */
export function isRecoveryCode(typed: string): boolean {
  const code = plainCode(typed)
  return code.length > 8 || /\D/.test(code)
}
