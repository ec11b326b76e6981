/** The letters of the library's codes: consonants only, so that none is a word (RFC 8628 §6.1). */
const LETTERS = 'BCDFGHJKLMNPQRSTVWXZ'
const LENGTH = 8

/** A typed code in capitals, without the dash, spaces and other signs between its letters. Null for what can be none. */
export function plainUserCode(typed: string): string | null {
  const code = typed
    .slice(0, 100)
    .normalize('NFKC')
    .toUpperCase()
    .replaceAll(/[\s\p{P}\p{S}\p{Cf}]/gu, '')
  return code.length === LENGTH && Array.from(code).every((letter) => LETTERS.includes(letter)) ? code : null
}

/** "WDJB-MJHT", which is easier to compare. */
export function readableUserCode(code: string): string {
  return `${code.slice(0, LENGTH / 2)}-${code.slice(LENGTH / 2)}`
}
