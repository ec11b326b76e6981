import type { IncomingMessage } from 'node:http'
import type { Request } from 'express'
import { type Message, message } from '../i18n/messages.ts'
import type { Texts } from '../i18n/texts.ts'
import { ERROR_REFERENCE, type ProtocolPages, type RequestMistake } from '../oidc/pages.ts'
import { type RefusalWords, TO_APPS, wordsOf } from './http-errors.ts'
import type { Templates } from './templates.ts'

/** The protocol's pages in the portal's layout. */
export function createProtocolPages(renderer: Templates, textsOf: (req: IncomingMessage) => Texts): ProtocolPages {
  return {
    async error({ req, status, error, isHint, description, reference, mistake, forDevelopers }) {
      const words = isHint ? WRONG_HINT : wordsFor(error, status, mistake)
      const texts = textsOf(req)
      const title = texts.say(words.title)
      const asked = askedFor(mistake)
      return renderer.toString(
        'errors/app-request',
        { title, narrow: true, path: pathOf(req) },
        {
          status,
          title,
          advice: words.advice,
          sentence: [
            texts.say(words.sentence),
            ...(status >= 500 || asked === null ? [] : [texts.say(asked)]),
            ...(status >= 500 ? [] : [`(${error}${description === null ? '' : `: ${description}`})`]),
          ].join(' '),
          // In production, strangers see at most their own input.
          mistake: forDevelopers && status < 500 && hasValues(mistake) ? mistake : null,
          reference,
          explanation: `${ERROR_REFERENCE}#${error}`,
          ...wayOnOf(isHint, status, req),
        },
        texts,
      )
    },
    logout({ req, appName, action, xsrf, autoSubmit, username }) {
      return renderer.toString(
        'oidc-logout',
        { title: textsOf(req).t('sign_out.title'), narrow: true, username, path: pathOf(req) },
        { appName, action, xsrf, autoSubmit },
        textsOf(req),
      )
    },
    signedOut({ req }) {
      return renderer.toString(
        'signed-out',
        { title: textsOf(req).t('sign_out.done_title'), narrow: true, path: pathOf(req) },
        {},
        textsOf(req),
      )
    },
  }
}

/** Where the language switch leads back to. A request that came as a form cannot be made again. */
function pathOf(req: IncomingMessage): string | null {
  return req.method === 'GET' ? ((req as Partial<Request>).originalUrl ?? null) : null
}

/** Whether there is more to say than the error's name. */
function hasValues({ clientId, uri, command }: RequestMistake): boolean {
  return uri !== null || command !== null || clientId !== null
}

/** After an error of the portal, the same request may work a little later. */
function wayOnOf(isHint: boolean, status: number, req: IncomingMessage): { backHref: string; backLabel: Message } {
  if (isHint) return { backHref: '/logout', backLabel: message('app_error.hint.button') }
  const { originalUrl } = req as Partial<Request>
  return status >= 500 && req.method === 'GET' && originalUrl?.startsWith('/oauth/')
    ? { backHref: originalUrl, backLabel: message('errors.try_again_button') }
    : { backHref: TO_APPS.href, backLabel: TO_APPS.label }
}

function wordsFor(error: string, status: number, { uri }: RequestMistake): RefusalWords {
  if (status >= 500) return WORDS[error] ?? FAILED
  if (uri?.kind === 'post-logout-redirect-uri') return WRONG_RETURN
  return WORDS[error] ?? REFUSED
}

/** What was sent, without letting a forged link put its own text on the page: the host of a URI or an id, never free text. */
function askedFor({ uri, clientId, isKnown }: RequestMistake): Message | null {
  const url = uri === null ? null : URL.parse(uri.requested)
  if (url !== null && /^https?:$/.test(url.protocol) && url.origin.length <= 100)
    return message('app_error.asked_for', { origin: url.origin })
  return !isKnown && clientId !== null && /^[\w.-]{1,64}$/.test(clientId)
    ? message('app_error.calls_itself', { app: clientId })
    : null
}

const REFUSED = wordsOf('app_error.refused.title', 'app_error.refused.sentence', 'app_error.refused.advice')
const WRONG_HINT = wordsOf('app_error.hint.title', 'app_error.hint.sentence', 'app_error.hint.advice')
const FAILED = wordsOf('errors.failed.title', 'app_error.failed.sentence', 'app_error.failed.advice')
const WRONG_RETURN = wordsOf('app_error.return.title', 'app_error.return.sentence', 'app_error.refused.advice')

const WORDS: Record<string, RefusalWords> = {
  invalid_client: wordsOf('app_error.unknown.title', 'app_error.unknown.sentence', 'app_error.refused.advice'),
  invalid_redirect_uri: wordsOf('app_error.address.title', 'app_error.address.sentence', 'app_error.refused.advice'),
}
