/** Options that take several URIs in a row. */
const TAKE_URIS = new Set(['--redirect-uri', '--post-logout-redirect-uri'])

/**
 * Gives each of several URIs behind one option an option of its own: `--redirect-uri A B id` becomes
 * `--redirect-uri A --redirect-uri B id`. Commander would take everything up to the next option, the client id as well.
 */
export function repeatOptions(argv: string[]): string[] {
  const repeated: string[] = []
  let option: string | null = null
  let isFirst = false
  for (const word of argv) {
    if (TAKE_URIS.has(word)) {
      option = word
      isFirst = true
    } else if (option !== null) {
      if (!isFirst && isUri(word)) repeated.push(option)
      else if (!isFirst) option = null
      isFirst = false
    }
    repeated.push(word)
  }
  return repeated
}

/** Also what is no good URI, so that it is refused as one. */
function isUri(word: string): boolean {
  return !word.startsWith('-') && !/^[\w.~-]+$/.test(word)
}
