import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { MessageKey } from './messages.ts'

const FOLDER = join(import.meta.dirname, '../../locales')

/** The texts of one language, in ICU MessageFormat. */
export type Catalogue = Record<MessageKey, string>

/** English decides which texts there are, and stands in where a language is not known. */
export const ENGLISH = 'en'

const catalogues = readFolder(FOLDER)

/** The texts of the admin pages. A language without a file of them has English ones. */
const adminCatalogues = readFolder(join(FOLDER, 'admin'))

function readFolder(folder: string): Map<string, Catalogue> {
  const files = readdirSync(folder).filter((name) => name.endsWith('.json'))
  return new Map(
    files.map((name) => [
      name.slice(0, -'.json'.length),
      JSON.parse(readFileSync(join(folder, name), 'utf8')) as Catalogue,
    ]),
  )
}

/** The languages in which the admin pages are written. */
export const ADMIN_LANGUAGES: readonly string[] = [...adminCatalogues.keys()].toSorted()

/** The languages that have a file in `locales/`, English first, as BCP 47 tags. */
export const LANGUAGES: readonly string[] = [
  ENGLISH,
  ...[...catalogues.keys()].filter((language) => language !== ENGLISH).toSorted(),
]

/** @throws Error for a language without a file */
export function catalogueOf(language: string): Catalogue {
  const catalogue = catalogues.get(language)
  if (catalogue === undefined) throw new Error(`there is no catalogue for the language ${language}`)
  return { ...catalogue, ...(adminCatalogues.get(language) ?? adminCatalogues.get(ENGLISH)) }
}

/** The name of a language in itself: "Deutsch". */
export function nameOfLanguage(language: string): string {
  const name = new Intl.DisplayNames([language], { type: 'language' }).of(language) ?? language
  // Some languages write their own name small inside a sentence; in a list it begins like the others.
  return name.charAt(0).toLocaleUpperCase(language) + name.slice(1)
}

/** Which way the language is written, for the `dir` attribute. */
export function directionOf(language: string): 'ltr' | 'rtl' {
  const locale = new Intl.Locale(language) as Intl.Locale & { getTextInfo(): { direction?: 'ltr' | 'rtl' } }
  return locale.getTextInfo().direction ?? 'ltr'
}
