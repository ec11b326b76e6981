import type { IncomingMessage } from 'node:http'
import { parseCookie } from 'cookie'
import { ADMIN_LANGUAGES, ENGLISH } from '../i18n/catalogues.ts'
import { acceptedLanguage, firstSupportedLanguage, supportedLanguage } from '../i18n/language-choice.ts'
import { PSEUDO } from '../i18n/pseudo.ts'
import { type Texts, textsFor } from '../i18n/texts.ts'
import { isTimeZone } from '../i18n/times.ts'
import { queryOf } from './request-target.ts'

declare module 'node:http' {
  interface IncomingMessage {
    texts?: Texts
  }
}

/** The cookie of a language that was chosen on a page. */
export const LANGUAGE_COOKIE = 'language'
/** The cookie in which a script tells the time zone of the browser. */
const ZONE_COOKIE = 'zone'

export interface TextsContext {
  /** The name of the organisation. */
  organisation: string
  defaultLocale: string
  /** Whether the pseudo-locale can be asked for. */
  hasPseudoLocale: boolean
}

/**
 * The texts for one request, in the language of, in this order: the app's wish (`ui_locales`, which travels as `locale` in the
 * URL of the interaction), the setting of the signed-in user, the choice made in this browser, Accept-Language,
 * DEFAULT_LOCALE. An admin page is in English where it is not written in that language. The time zone is that of the user's settings, or the browser's.
 */
export function chooseTexts(
  req: IncomingMessage,
  { organisation, defaultLocale, hasPseudoLocale }: TextsContext,
): Texts {
  if (req.texts !== undefined) return req.texts
  const cookies = parseCookie(req.headers.cookie ?? '')
  const asked = localeAskedFor(req)
  const wanted =
    (hasPseudoLocale && asked === PSEUDO ? PSEUDO : null) ??
    supportedLanguage(asked) ??
    supportedLanguage(req.signedIn?.locale) ??
    supportedLanguage(cookies[LANGUAGE_COOKIE]) ??
    acceptedLanguage(req.headers['accept-language'], defaultLocale)
  const isWritten = wanted === PSEUDO || ADMIN_LANGUAGES.includes(wanted) || !isAdminPage(req)
  const language = isWritten ? wanted : ENGLISH
  const zone = req.signedIn?.zoneinfo ?? cookies[ZONE_COOKIE] ?? null
  const texts = textsFor(language, {
    organisation,
    zone: zone !== null && isTimeZone(zone) ? zone : null,
  })
  // Until the request is known to be of a signed-in user or of none, the answer may still change.
  if (req.signedIn !== undefined) req.texts = texts
  return texts
}

function isAdminPage(req: IncomingMessage): boolean {
  const { originalUrl = req.url ?? '' } = req as { originalUrl?: string }
  return /^\/admin(?:[/?]|$)/i.test(originalUrl)
}

/** `locale` in the URL, or in that of the interaction which a form leads back to. */
function localeAskedFor(req: IncomingMessage): string | null {
  const query = queryOf(req)
  const body = (req as { body?: { return_to?: unknown } }).body
  const returnTo = typeof body?.return_to === 'string' ? body.return_to : query.get('return_to')
  return (
    query.get('locale') ??
    // The pages of the protocol itself: of a sign-out, or of a request that is refused.
    firstSupportedLanguage(query.get('ui_locales') ?? undefined) ??
    new URLSearchParams(returnTo?.split('?')[1]).get('locale')
  )
}
