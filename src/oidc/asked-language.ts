import type { KoaContextWithOIDC } from 'oidc-provider'
import { firstSupportedLanguage } from '../i18n/language-choice.ts'
import { withParameters } from './redirects.ts'

/** The URL of the next page of a sign-out, in the language that the app asked for (`ui_locales`), as the page before. */
export function withAskedLanguage(ctx: KoaContextWithOIDC, url: string): string {
  const tags = ctx.oidc.params?.['ui_locales'] ?? ctx.query['ui_locales']
  const language = typeof tags === 'string' ? firstSupportedLanguage(tags) : null
  return language === null ? url : withParameters(url, { ui_locales: language })
}
