import type { IncomingMessage, ServerResponse } from 'node:http'
import { APPLICATION_ALG, signJwt } from '../domain/keys/jwts.ts'
import type { Services } from '../domain/services.ts'
import { Revocations } from '../domain/families/revocations.ts'
import { epochSeconds } from '../domain/time.ts'
import { isKnownVersion } from './entity-tags.ts'
import { errorUri } from './error-codes.ts'

export const REVOCATION_FEED = '/oauth/revocations'

/** @param url the target of the request line */
export function isRevocationFeed(url: string | undefined): boolean {
  return url?.split('?', 1)[0] === REVOCATION_FEED
}

/** The longest wait of one request (seconds); proxies tend to time out after it. */
const LONGEST_WAIT = 60

/**
 * The revocation feed: a signed, public document (JWS, RFC 7515) for APIs that verify application tokens (OAuth access tokens)
 * offline. It lists what such an API cannot see in a token, like a certificate revocation list. It names no user: a family's id
 * is random, and in every token of the family.
 */
export class RevocationFeed {
  readonly #services: Services
  readonly #revocations: Revocations
  /** The documents signed in this second, by `since`: requests that waited for the same news share one signature. */
  readonly #signed = new Map<number, string>()
  #signedFor = ''

  constructor(services: Services) {
    this.#services = services
    this.#revocations = new Revocations(services)
  }

  /** Answers the requests that wait, and lets no new one wait. */
  stop(): void {
    this.#revocations.stop()
  }

  /** @throws when the database is unavailable */
  async answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    for (const [name, value] of CORS) res.setHeader(name, value)
    if (req.method === 'OPTIONS') return void res.writeHead(204, PREFLIGHT).end()
    if (req.method !== 'GET' && req.method !== 'HEAD')
      return this.#refuse(res, 405, 'the revocation feed is read with GET or HEAD', { Allow: 'GET, HEAD, OPTIONS' })
    const since = readSince(req.url as string)
    if (since === undefined)
      return this.#refuse(res, 400, 'since is given once, in whole seconds since 1970, as the iat of a document has it')

    await this.#revocations.look()
    const wait = waitOf(req)
    const isPatient = wait > 0 && this.#isKnown(req) && (await this.#wait(res, wait))
    const headers = {
      ETag: this.#tag,
      'Cache-Control': 'public, max-age=1',
      Vary: 'Prefer',
      ...(isPatient ? { 'Preference-Applied': `wait=${wait}` } : {}),
    }
    if (this.#isKnown(req)) return void res.writeHead(304, headers).end()
    const document = this.#sign(since)
    res.writeHead(200, { ...headers, 'Content-Type': 'application/jwt', 'Content-Length': document.length })
    res.end(req.method === 'HEAD' ? undefined : document)
  }

  #refuse(res: ServerResponse, status: number, words: string, headers: Record<string, string> = {}): void {
    res.writeHead(status, {
      'Content-Type': 'application/json; charset=utf-8',
      'Cache-Control': 'no-store',
      ...headers,
    })
    const error = 'invalid_request'
    const error_uri = errorUri(this.#services.publicUrl, { error })
    res.end(JSON.stringify({ error, error_description: words, error_uri }))
  }

  async #wait(res: ServerResponse, seconds: number): Promise<boolean> {
    const gone = new AbortController()
    const leave = () => gone.abort()
    res.once('close', leave)
    try {
      return await this.#revocations.waitForChange(this.#revocations.version, seconds * 1000, gone.signal)
    } finally {
      res.off('close', leave)
    }
  }

  /**
   * Whether the client has the current version (ETag). It is the version of the whole feed, so it holds whatever `since` the
   * client asks for.
   */
  #isKnown(req: IncomingMessage): boolean {
    return isKnownVersion(req, this.#tag)
  }

  get #tag(): string {
    return `W/"${this.#revocations.version}"`
  }

  #sign(since: number | null): string {
    const iat = epochSeconds(this.#services.clock())
    const key = this.#services.keys.signer(APPLICATION_ALG)
    const present = `${iat} ${key.kid} ${this.#revocations.version}`
    if (this.#signedFor !== present) this.#signed.clear()
    this.#signedFor = present

    const from = this.#revocations.newsFrom(since)
    const known = this.#signed.get(from)
    if (known !== undefined) return known
    const claims = { iss: this.#services.publicUrl, iat, ...this.#revocations.list(from) }
    const document = signJwt(key, 'revocations', claims)
    this.#signed.set(from, document)
    return document
  }
}

const CORS = [
  ['Access-Control-Allow-Origin', '*'],
  ['Access-Control-Expose-Headers', 'ETag, Preference-Applied, Retry-After'],
] as const

const PREFLIGHT = {
  'Access-Control-Allow-Methods': 'GET, HEAD',
  'Access-Control-Allow-Headers': 'If-None-Match, Prefer',
  'Access-Control-Max-Age': '3600',
}

/** Seconds since 1970; null when absent, undefined when malformed. */
function readSince(url: string): number | null | undefined {
  const values = new URLSearchParams(url.slice(REVOCATION_FEED.length)).getAll('since')
  if (values.length === 0) return null
  const [value = ''] = values
  return values.length === 1 && /^\d{1,10}$/.test(value) ? Number(value) : undefined
}

/** How long the client wants to wait for news (seconds, `Prefer: wait`, RFC 7240 §4.3), within the limit; 0 when malformed. */
function waitOf({ headers }: IncomingMessage): number {
  const preferences = [headers['prefer'] ?? ''].flat().join(',').split(',')
  const waits = preferences.map((preference) => /^\s*wait\s*=\s*"?(\d{1,9})"?\s*(;|$)/i.exec(preference)?.[1])
  return Math.min(LONGEST_WAIT, Number(waits.find((wait) => wait !== undefined) ?? 0))
}
