import accepts from 'accepts'
import type { IncomingMessage } from 'node:http'
import { LANGUAGES } from './catalogues.ts'

const TAG = /^[a-z]{2,3}(?:-[a-z\d]{1,8})*$/i

/** The language with a catalogue that fits a BCP 47 tag best: "de" for "de-AT". Null when there is none. */
export function supportedLanguage(tag: string | null | undefined): string | null {
  if (tag === null || tag === undefined || tag.length > 35 || !TAG.test(tag)) return null
  return choose(tag, LANGUAGES)
}

/** The first of some tags, in the order of preference and between spaces (`ui_locales`), that has a catalogue. */
export function firstSupportedLanguage(tags: string | undefined): string | null {
  for (const tag of (tags ?? '').slice(0, 500).split(' ')) {
    const language = supportedLanguage(tag)
    if (language !== null) return language
  }
  return null
}

/** What fits an Accept-Language header best (RFC 9110 §12.5.4); `standard` when none does, or the header is missing. */
export function acceptedLanguage(header: string | undefined, standard: string): string {
  // The first one is taken for "any language".
  return choose(header, [standard, ...LANGUAGES]) ?? standard
}

function choose(header: string | undefined, languages: readonly string[]): string | null {
  const headers = header === undefined ? {} : { 'accept-language': header }
  return accepts({ headers } as IncomingMessage).language([...languages]) || null
}
