const LONGEST = 80
const DIRECTIONS = /[\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/g
const WORD_JOINER = '\u2060'

/**
 * Text that another person chose, made safe for a mail: one line of at most 80 characters, without bidirectional controls, that
 * mail programs do not turn into a link. So a stranger cannot send advertisements by registering as `cheap-pills.example`.
 */
export function foreign(text: string): string {
  const line = text
    .replace(DIRECTIONS, '')
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .trim()
  const characters = [...line]
  const short = characters.length > LONGEST ? `${characters.slice(0, LONGEST - 1).join('')}…` : line
  // A dot between digits, as in a version or an IP address, makes no link, and users copy those.
  return short.replace(/[.:@](?=\p{L}{2}|\/\/)/gu, `$&${WORD_JOINER}`)
}

/** An e-mail address, masked: its user recognizes it, and other readers learn only its first letter and its domain. */
export function masked(email: string): string {
  const at = email.lastIndexOf('@')
  return foreign(`${[...email][0] ?? ''}•••${at < 1 ? '' : email.slice(at)}`)
}
