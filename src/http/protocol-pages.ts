import type { IncomingMessage } from 'node:http'
import type { Texts } from '../i18n/texts.ts'
import { ERROR_REFERENCE, type ProtocolPages, type RequestMistake } from '../oidc/pages.ts'
import type { Templates } from './templates.ts'

/** The protocol's pages in the portal's layout. */
export function createProtocolPages(renderer: Templates, textsOf: (req: IncomingMessage) => Texts): ProtocolPages {
  return {
    async error({ req, status, error, isHint, description, reference, mistake, forDevelopers }) {
      const words = isHint ? WRONG_HINT : wordsFor(error, status, mistake)
      return renderer.toString(
        'errors/app-request',
        { title: words.title, narrow: true },
        {
          status,
          ...words,
          sentence:
            status >= 500
              ? words.sentence
              : `${words.sentence}${safeWords(mistake)} (${error}${description === null ? '' : `: ${description}`})`,
          // In production, strangers see at most their own input.
          mistake: forDevelopers && status < 500 && hasValues(mistake) ? mistake : null,
          reference,
          explanation: `${ERROR_REFERENCE}#${error}`,
          ...(isHint
            ? { backHref: '/logout', backLabel: 'Sign out here' }
            : { backHref: '/dashboard', backLabel: 'Go to your apps' }),
        },
        textsOf(req),
      )
    },
    logout({ req, appName, action, xsrf, autoSubmit, username }) {
      return renderer.toString(
        'oidc-logout',
        { title: 'Sign out', narrow: true, username },
        { appName, action, xsrf, autoSubmit },
        textsOf(req),
      )
    },
    signedOut({ req }) {
      return renderer.toString('signed-out', { title: 'Signed out', narrow: true }, {}, textsOf(req))
    },
  }
}

/** Whether there is more to say than the error's name. */
function hasValues({ clientId, uri, command }: RequestMistake): boolean {
  return uri !== null || command !== null || clientId !== null
}

function wordsFor(error: string, status: number, { uri }: RequestMistake): typeof REFUSED {
  if (status >= 500) return WORDS[error] ?? FAILED
  if (uri?.kind === 'post-logout-redirect-uri') return WRONG_RETURN
  return WORDS[error] ?? REFUSED
}

/** What was sent, without letting a forged link put its own text on the page: the host of a URI or an id, never free text. */
function safeWords({ uri, clientId, isKnown }: RequestMistake): string {
  const url = uri === null ? null : URL.parse(uri.requested)
  if (url !== null && /^https?:$/.test(url.protocol) && url.origin.length <= 100) return ` It asked for ${url.origin}.`
  return !isKnown && clientId !== null && /^[\w.-]{1,64}$/.test(clientId) ? ` It calls itself ${clientId}.` : ''
}

const REFUSED = {
  title: 'The app asked for something that cannot be',
  sentence: 'The app you came from sent a request the portal does not accept.',
  advice: 'Go back to the app and try again. If it happens again, tell the people who run the app the reference below.',
}

const WRONG_HINT = {
  title: 'The app could not sign you out',
  sentence: 'The app named your sign-in in a way the portal cannot check, or named one that is not its own.',
  advice: 'Nothing has changed: if you were signed in to the portal, you still are. You can sign out here.',
}

const FAILED = {
  title: 'Something went wrong',
  sentence: 'The portal could not finish this. It has been written down.',
  advice: 'Nothing was lost. Go back to the app and try again in a few seconds.',
}

const WRONG_RETURN = {
  ...REFUSED,
  title: 'This app came from the wrong address',
  sentence: 'The app asked to be returned to, after signing out, at an address that is not registered for it.',
}

const WORDS: Record<string, typeof REFUSED> = {
  invalid_client: {
    ...REFUSED,
    title: 'This app is not known here',
    sentence: 'The app you came from is not registered with this portal.',
  },
  invalid_redirect_uri: {
    ...REFUSED,
    title: 'This app came from the wrong address',
    sentence: 'The app asked to be answered at an address that is not registered for it, so nothing was sent there.',
  },
}
