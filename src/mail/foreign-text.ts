const LONGEST = 80
const DIRECTIONS = /[\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/g
const WORD_JOINER = '\u2060'

/**
 * What somebody else wrote, as data: one line of at most 80 characters, that turns no text around and that mail programs
 * make no link of. So nobody can have us send their advertisement by registering as `cheap-pills.example`.
 */
export function foreign(text: string): string {
  const line = text
    .replace(DIRECTIONS, '')
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .trim()
  const characters = [...line]
  const short = characters.length > LONGEST ? `${characters.slice(0, LONGEST - 1).join('')}…` : line
  // A dot in a version or an address of figures makes no link, and those are what people copy.
  return short.replace(/[.:@](?=\p{L}{2}|\/\/)/gu, `$&${WORD_JOINER}`)
}

/** An address that is not the reader's: enough to know one's own by. */
export function masked(address: string): string {
  const at = address.lastIndexOf('@')
  return foreign(`${[...address][0] ?? ''}•••${at < 1 ? '' : address.slice(at)}`)
}
