import type { IncomingMessage, ServerResponse } from 'node:http'
import accepts from 'accepts'
import { message } from '../i18n/messages.ts'
import type { Logger } from '../logger.ts'
import { errorUri } from '../oidc/pages.ts'
import { RequestRefused } from './http-errors.ts'

const WARN_EVERY_MS = 60_000

interface MisdirectedOptions {
  publicUrl: string
  logger: Logger
  clock: () => Date
  /** Renders the error page. */
  showPage(req: IncomingMessage, res: ServerResponse, error: RequestRefused): void
}

/**
 * Host header attacks: answers a request for another host with 421 (RFC 9110 §15.5.20), as a page for browsers, and as JSON or
 * a line of text for programs. The received and expected hosts are logged at most once a minute, because any client can cause
 * it.
 */
export function createMisdirectedAnswer({ publicUrl, logger, clock, showPage }: MisdirectedOptions) {
  let warnedAt = -Infinity

  return (req: IncomingMessage, res: ServerResponse, authority: string | null): void => {
    const now = clock().getTime()
    if (now - warnedAt >= WARN_EVERY_MS) {
      warnedAt = now
      const requestedHost = authority?.slice(0, 200) ?? null
      logger.warn(
        { requestedHost, publicUrl },
        'a request for another host than that of PUBLIC_URL was refused: is PUBLIC_URL right, and does the proxy pass the Host header on?',
      )
    }
    const kind = accepts(req).type(['text', 'html', 'json'])
    if (kind === 'html') return showPage(req, res, misdirected(publicUrl))
    const [type, body] =
      kind === 'json'
        ? ['application/json', JSON.stringify({ ...MISDIRECTED, error_uri: errorUri(publicUrl, MISDIRECTED) })]
        : ['text/plain', SENTENCE]
    res.writeHead(421, { 'Content-Type': `${type}; charset=utf-8`, 'Cache-Control': 'no-store', Connection: 'close' })
    res.end(`${body}\n`)
  }
}

const SENTENCE = 'This portal does not answer for that host.'
const MISDIRECTED = { error: 'misdirected_request', error_description: SENTENCE }

function misdirected(publicUrl: string): RequestRefused {
  return new RequestRefused(
    421,
    {
      title: message('errors.misdirected.title'),
      sentence: message('errors.misdirected.sentence', { url: publicUrl }),
      advice: message('errors.misdirected.advice'),
    },
    { href: `${publicUrl}/`, label: message('errors.misdirected.button') },
  )
}
