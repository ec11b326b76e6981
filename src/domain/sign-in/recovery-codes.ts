import { createHmac, randomBytes } from 'node:crypto'
import type { Queryable } from '../../storage/postgres.ts'
import { countRecoveryCodes, markRecoveryCodeUsed, replaceRecoveryCodes } from '../../storage/recovery-codes.ts'
import type { Services } from '../services.ts'
import type { DerivedKeys } from '../keys/secrets.ts'

export { countRecoveryCodes }

export const RECOVERY_CODES = 10
/** Crockford's Base32: no letter that could be read as a digit, and 80 bits in sixteen of them. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'
const LETTERS = 16

/** Makes a new set, in the caller's transaction; the old set no longer works. Only their hashes are stored. */
export async function makeRecoveryCodesIn(db: Queryable, services: Services, identityId: string): Promise<string[]> {
  const codes = Array.from({ length: RECOVERY_CODES }, () =>
    [...randomBytes(LETTERS)].map((byte) => ALPHABET[byte % ALPHABET.length]).join(''),
  )
  const hashes = codes.map((code) => hashOf(code, identityId, services.secrets[0]))
  await replaceRecoveryCodes(db, identityId, hashes, services.clock())
  return codes.map((code) => (code.match(/.{4}/g) ?? []).join('-'))
}

/** True once for each code, in any spelling a user may copy from paper. */
export async function useRecoveryCodeIn(
  db: Queryable,
  services: Services,
  identityId: string,
  code: string,
): Promise<boolean> {
  const letters = code.toLowerCase().replaceAll('o', '0').replaceAll(/[il]/g, '1')
  if (letters.length !== LETTERS || [...letters].some((letter) => !ALPHABET.includes(letter))) return false
  // A code made under an older secret works as long as that secret is still there.
  const hashes = services.secrets.map((keys) => hashOf(letters, identityId, keys))
  return markRecoveryCodeUsed(db, identityId, hashes, services.clock())
}

/** Whether all of these codes belong to this identity, and none was used. It uses none up. */
export async function areRecoveryCodes(
  db: Queryable,
  services: Services,
  identityId: string,
  codes: string[],
): Promise<boolean> {
  if (codes.length > RECOVERY_CODES || codes.some((code) => code.length !== LETTERS)) return false
  const hashes = codes.flatMap((code) => services.secrets.map((keys) => hashOf(code, identityId, keys)))
  return (await countRecoveryCodes(db, identityId, hashes)) === new Set(codes).size
}

function hashOf(letters: string, identityId: string, keys: DerivedKeys): Buffer {
  return createHmac('sha256', keys.recoveryCodeHash).update(`${identityId} ${letters}`).digest()
}
