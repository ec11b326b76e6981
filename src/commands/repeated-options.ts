/** Options that take several URIs. */
const TAKE_URIS = new Set(['--redirect-uri', '--post-logout-redirect-uri'])

/**
 * Repeats an option for each of its URIs: `--redirect-uri A B id` becomes `--redirect-uri A --redirect-uri B id`. Commander
 * would take everything up to the next option as its values, the client id included.
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

/** True for malformed URIs as well, so that the registry refuses them with its own message. */
function isUri(word: string): boolean {
  return !word.startsWith('-') && !/^[\w.~-]+$/.test(word)
}
