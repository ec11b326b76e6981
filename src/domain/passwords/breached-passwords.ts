import { createHash } from 'node:crypto'

/** With so many marks on so many bits, one in 10,000 passwords that are not on the list looks as if it were. */
const MARKS_PER_PASSWORD = 13
const BITS_PER_PASSWORD = 19.2

/** No portal accepts anything shorter. */
const SHORTEST = 8

/** The list that comes with the portal, packed; `breached-passwords.md` says what it was made of. */
export const BREACHED_PASSWORDS = new URL('./breached-passwords.bin', import.meta.url)

/** True for every password that was packed, however it is spelled, and for a few others. */
export function isBreached(packed: Buffer, password: string): boolean {
  return marksOf(foldPassword(password), packed.length * 8).every(({ byte, bit }) => (packed.readUInt8(byte) & bit) > 0)
}

/** A Bloom filter of these passwords; those that are too short for any portal are left out. */
export function packBreachedPasswords(passwords: string[]): Buffer {
  const folded = new Set(passwords.map(foldPassword).filter((password) => [...password].length >= SHORTEST))
  const packed = Buffer.alloc(Math.ceil((folded.size * BITS_PER_PASSWORD) / 8))
  for (const password of folded) {
    for (const { byte, bit } of marksOf(password, packed.length * 8))
      packed.writeUInt8(packed.readUInt8(byte) | bit, byte)
  }
  return packed
}

/** The form that all spellings of a password share, which an attacker tries as one. */
export function foldPassword(password: string): string {
  return password.normalize('NFKC').toLowerCase()
}

function marksOf(folded: string, bits: number): { byte: number; bit: number }[] {
  const digest = createHash('sha256').update(folded).digest()
  const first = digest.readUIntBE(0, 6)
  const step = digest.readUIntBE(6, 6)
  return Array.from({ length: MARKS_PER_PASSWORD }, (_, turn) => {
    const mark = (first + turn * step) % bits
    return { byte: Math.floor(mark / 8), bit: 1 << (mark % 8) }
  })
}
