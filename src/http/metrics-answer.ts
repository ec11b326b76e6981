import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { isLocalPeer } from './middleware/local-peer.ts'

/** The metrics in a text format of Prometheus. */
export interface Scrape {
  contentType: string
  text: string
}

/**
 * Makes the answer of `/metrics`, for requests with the token, and for those of this machine. To all others it does not exist.
 * @param scrape rejects when the processes of the portal do not answer
 * @returns false when the request is none of those, and is to be answered like any unknown path
 */
export function createMetricsAnswer(token: string | null, scrape: () => Promise<Scrape>) {
  return async (req: IncomingMessage, res: ServerResponse, authority: string | null): Promise<boolean> => {
    if (!mayScrape(req, authority, token)) return false
    if (req.method !== 'GET' && req.method !== 'HEAD') {
      res.writeHead(405, { Allow: 'GET, HEAD', 'Content-Length': 0 }).end()
      return true
    }
    const { contentType, text } = await scrape().catch(() => ({ contentType: 'text/plain; charset=utf-8', text: null }))
    const [status, body] =
      text === null ? ([503, 'The processes of the portal do not answer.\n'] as const) : [200, text]
    res.writeHead(status, {
      'Content-Type': contentType,
      'Content-Length': Buffer.byteLength(body),
      'Cache-Control': 'no-store',
    })
    res.end(req.method === 'HEAD' ? undefined : body)
    return true
  }
}

/**
 * A token that is presented decides. Without one the request must come from this machine and ask for it by a loopback name: a
 * reverse proxy on the same machine passes on the name that strangers ask for, and marks what it forwards.
 */
function mayScrape(req: IncomingMessage, authority: string | null, token: string | null): boolean {
  const { authorization } = req.headers
  if (token !== null && authorization !== undefined) return isToken(authorization, token)
  return isLocalPeer(req) && LOOPBACK.test(URL.parse(`http://${authority}`)?.hostname ?? '')
}

const LOOPBACK = /^(?:(?:.+\.)?localhost\.?|127\.\d+\.\d+\.\d+|\[::1\])$/

/** The same time for every token (timing attacks). */
function isToken(authorization: string, token: string): boolean {
  const [, presented] = /^bearer +(.+)$/i.exec(authorization) ?? []
  return presented !== undefined && timingSafeEqual(hashOf(presented), hashOf(token))
}

function hashOf(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
