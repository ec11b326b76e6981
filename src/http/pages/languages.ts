import { message } from '../../i18n/messages.ts'
import type { Request, Response } from 'express'
import { changeRegion } from '../../domain/accounts/languages.ts'
import { isLapsed } from '../../domain/sign-in/identity-sessions.ts'
import { LANGUAGES, nameOfLanguage } from '../../i18n/catalogues.ts'
import { supportedLanguage } from '../../i18n/language-choice.ts'
import { isTimeZone } from '../../i18n/times.ts'
import { servicesOf, signedInOf, textsOf } from '../context.ts'
import { redirectWith } from '../flash-messages.ts'
import { badRequest } from '../http-errors.ts'
import { askToSignIn } from '../middleware/identity.ts'
import { render } from '../page.ts'
import { safePath } from '../return-to.ts'
import { LANGUAGE_COOKIE } from '../texts.ts'

const YEAR_MS = 31_536_000_000

/** POST /language: the switch in the footer. It holds in this browser, and for a signed-in user in all. */
export async function createLanguageSwitch(req: Request, res: Response): Promise<void> {
  const { locale, path } = (req.body ?? {}) as { locale?: unknown; path?: unknown }
  const language = languageIn(locale)
  if (language === null) throw badRequest(message('errors.no_such_language'))
  if (req.signedIn) {
    const { zoneinfo } = req.signedIn
    // A sign-in that has just ended changes nothing in the account, and the browser keeps its choice.
    await changeRegion(servicesOf(req), req.signedIn, { locale: language, zoneinfo })
  }
  rememberLanguage(req, res, language)
  res.redirect(303, withoutLocale(safePath(path, servicesOf(req).publicUrl) ?? '/'))
}

/** GET /settings/language */
export async function newLanguageChange(req: Request, res: Response): Promise<void> {
  const { locale, zoneinfo } = signedInOf(req)
  await render(
    req,
    res,
    'languages/edit',
    { title: textsOf(req).t('language.settings_title'), nav: 'settings' },
    {
      locale: supportedLanguage(locale),
      zoneinfo,
      languages: LANGUAGES.map((language) => ({ language, name: nameOfLanguage(language) })),
      zones: Intl.supportedValuesOf('timeZone'),
    },
  )
}

/** POST /settings/language; an empty value follows the browser. */
export async function createLanguageChange(req: Request, res: Response): Promise<void> {
  const { locale, zoneinfo } = (req.body ?? {}) as { locale?: unknown; zoneinfo?: unknown }
  const language = locale === '' ? null : languageIn(locale)
  const zone = zoneinfo === '' ? null : zoneinfo
  if (language === null && locale !== '') throw badRequest(message('errors.no_such_language'))
  if (zone !== null && !(typeof zone === 'string' && isTimeZone(zone))) throw badRequest(message('errors.no_such_zone'))
  const outcome = await changeRegion(servicesOf(req), signedInOf(req), { locale: language, zoneinfo: zone })
  if (isLapsed(outcome)) return askToSignIn(req, res)
  if (language === null) res.clearCookie(LANGUAGE_COOKIE, { path: '/' })
  else rememberLanguage(req, res, language)
  redirectWith(req, res, 'language-changed', '/settings')
}

function languageIn(value: unknown): string | null {
  return typeof value === 'string' && LANGUAGES.includes(value) ? value : null
}

function rememberLanguage(req: Request, res: Response, language: string): void {
  const secure = servicesOf(req).publicUrl.startsWith('https:')
  res.cookie(LANGUAGE_COOKIE, language, { httpOnly: true, sameSite: 'lax', secure, path: '/', maxAge: YEAR_MS })
}

/** The choice on the page wins over what the app asked for, also further on the way. */
function withoutLocale(path: string): string {
  const start = path.indexOf('?')
  if (start === -1) return path
  const parameters = new URLSearchParams(path.slice(start))
  const returnTo = parameters.get('return_to')
  const next = returnTo === null ? null : withoutLocale(returnTo)
  if (next === returnTo && !LOCALES.some((name) => parameters.has(name))) return path
  for (const name of LOCALES) parameters.delete(name)
  if (next !== null) parameters.set('return_to', next)
  return parameters.size === 0 ? path.slice(0, start) : `${path.slice(0, start)}?${parameters.toString()}`
}

/** In a URL: the wish of an app, on the pages of an interaction and at the endpoints of the protocol. */
const LOCALES = ['locale', 'ui_locales']
