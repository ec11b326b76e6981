/** Options that take several URIs. */
const TAKE_URIS = ['--redirect-uri', '--post-logout-redirect-uri', '--api', '--exchange-for']
/** Options that take several words, where the id comes before them. */
const TAKE_WORDS = ['--api-scope', '--exchange-scope', '--claim']

/**
 * Repeats an option for each of its values: `--redirect-uri A B id` becomes `--redirect-uri A --redirect-uri B id`. Commander
 * would take everything up to the next option as its values, the id included. A word that could be an id is a value only when the
 * id has come before.
 * @param argv with the executable and the file, as `process.argv`
 */
export function repeatOptions(argv: string[]): string[] {
  const [, , command, , first = ''] = argv
  const hasId = first !== '' && !first.startsWith('-')
  // The `--scope` of an app is one list.
  const takers = [...TAKE_URIS, ...(hasId ? TAKE_WORDS : []), ...(hasId && command === 'api' ? ['--scope'] : [])]
  const repeated: string[] = []
  let option: string | null = null
  let isFirst = false
  for (const word of argv) {
    if (takers.includes(word)) {
      option = word
      isFirst = true
    } else if (option !== null) {
      if (!isFirst && isValue(word, hasId)) repeated.push(option)
      else if (!isFirst) option = null
      isFirst = false
    }
    repeated.push(word)
  }
  return repeated
}

/** True for malformed URIs as well, so that the registry refuses them with its own message. */
function isValue(word: string, hasId: boolean): boolean {
  return !word.startsWith('-') && (hasId || !/^[\w.~-]+$/.test(word))
}
