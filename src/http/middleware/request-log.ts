import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Logger } from '../../logger.ts'

declare module 'node:http' {
  interface IncomingMessage {
    /** The response repeats that of an identical earlier request, and nothing was done. */
    isRepeated?: boolean
  }
}

/**
 * One line per request, without its query, headers or body, which carry codes, cookies and passwords.
 * @param onEnd is called with how long the request took (seconds)
 */
export function logRequest(
  req: IncomingMessage,
  res: ServerResponse,
  logger: Logger,
  onEnd: (seconds: number) => void,
): void {
  const start = performance.now()
  req.requestId = shortId()
  res.setHeader('X-Request-Id', req.requestId)
  const path = pathForLog(req.url ?? '')
  res.once('close', () => {
    const took = performance.now() - start
    onEnd(took / 1000)
    logger.info(
      {
        requestId: req.requestId,
        method: req.method,
        path,
        status: res.statusCode,
        ms: Math.round(took),
        address: req.clientInfo?.address,
        ...(req.isRepeated ? { repeated: true } : {}),
        ...(res.writableFinished ? {} : { aborted: true }),
      },
      'request',
    )
  })
}

/** Short enough to read over the telephone, without letters that look alike. */
function shortId(): string {
  let id = ''
  for (const byte of randomBytes(10)) id += ALPHABET[byte % ALPHABET.length]
  return id
}

const ALPHABET = 'abcdefghjkmnpqrstuvwxyz23456789'

/**
 * The id of an interaction is half of what it takes to answer it, and a mailed link is a secret, so both are redacted; and so are
 * e-mail addresses, by which the admin API finds identities.
 */
function pathForLog(url: string): string {
  const [path = ''] = url.split('?', 1)
  return path
    .slice(0, 200)
    .replace(/^(\/interaction|\/oauth\/authorize)\/[^/]+/, '$1/:uid')
    .replace(
      /^(\/+(?:not-me|verify-email|reset-password|invitation|first-administrator|login\/+mail))\/.*/i,
      '$1/:token',
    )
    .replaceAll(/[^/]*(?:@|%40)[^/]*/gi, ':email')
}
