import { hash } from 'node:crypto'
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { isKnownVersion } from './entity-tags.ts'

/** How long published keys and metadata may be cached (seconds): much shorter than a key is published before it signs. */
const CACHE_SECONDS = 300

interface PublishedDocument {
  /** A string, not bytes: Node.js writes it and the headers before it in one piece. */
  text: string
  length: number
  tag: string
  type: string
}

/**
 * The published keys (JWKS) and metadata (OpenID Connect Discovery), ready to be sent. They are the same for every client until
 * the keys change, so the library writes each of them once for a set of keys.
 */
export class PublishedDocuments {
  readonly #byPath = new Map<string, PublishedDocument>()

  /** @param type the media type, for `Content-Type` */
  keep(path: string, body: object, type: string): void {
    const text = JSON.stringify(body)
    const tag = `"${hash('sha256', text, 'base64url')}"`
    this.#byPath.set(path, { text, length: Buffer.byteLength(text), tag, type })
  }

  /** The library writes it again at the next request. */
  forget(path: string): void {
    this.#byPath.delete(path)
  }

  /**
   * Answers GET and HEAD, with 304 for a client that has this version (RFC 9110 §15.4.5). False when it is left to the library.
   */
  answer(req: IncomingMessage, res: ServerResponse): boolean {
    if (req.method !== 'GET' && req.method !== 'HEAD') return false
    const document = this.#byPath.get(pathOf(req.url as string))
    if (document === undefined) return false

    const { text, length, tag, type } = document
    const headers: OutgoingHttpHeaders = {
      Vary: 'Origin',
      'Access-Control-Allow-Origin': req.headers.origin ?? '*',
      'Cache-Control': `public, max-age=${CACHE_SECONDS}`,
      ETag: tag,
    }
    if (isKnownVersion(req, tag)) {
      res.writeHead(304, headers).end()
    } else {
      res.writeHead(200, { ...headers, 'Content-Type': type, 'Content-Length': length })
      res.end(req.method === 'HEAD' ? undefined : text)
    }
    return true
  }
}

function pathOf(url: string): string {
  const end = url.indexOf('?')
  return end === -1 ? url : url.slice(0, end)
}
