import { setTimeout as sleep } from 'node:timers/promises'
import { CommandRefused } from './command-refused.ts'

const TIMEOUT_MS = 30_000
/** Before each further attempt to connect (ms). */
const DELAYS_MS = [200, 1000]
/** The longest time that a portal may ask to wait for (seconds). */
const LONGEST_WAIT = 60

/** HTTP to one portal, with its failures in words. */
export class RemoteConnection {
  readonly #url: string

  constructor(url: string) {
    this.#url = url
  }

  /**
   * Sends a request, again where the connection failed before anything could arrive, or in the middle of one that may be repeated.
   * Redirects are not followed: they would carry the credential elsewhere. @throws CommandRefused
   */
  async fetch(url: string, init: RequestInit, isRepeatable: boolean): Promise<Response> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.read(async () => fetchInTime(url, { ...init, redirect: 'manual' }))
      } catch (error) {
        const delay = DELAYS_MS[attempt]
        const { code } = error as ConnectionFailed
        const mayRepeat = BEFORE_SENDING.has(code) || (isRepeatable && WHILE_SENDING.has(code))
        if (delay === undefined || !mayRepeat) throw error
        await this.wait(delay)
      }
    }
  }

  /** Runs what reads from the network. @throws ConnectionFailed in words */
  async read<T>(act: () => Promise<T>): Promise<T> {
    try {
      return await act()
    } catch (error) {
      throw new ConnectionFailed(this.#url, codeOf(error))
    }
  }

  /** The text of an answer, as it comes. @throws ConnectionFailed in words */
  async *readText(response: Response): AsyncGenerator<string> {
    const decoder = new TextDecoder()
    try {
      for await (const chunk of response.body ?? []) yield decoder.decode(chunk as Uint8Array, { stream: true })
    } catch (error) {
      throw new ConnectionFailed(this.#url, codeOf(error))
    }
  }

  async wait(ms: number): Promise<void> {
    await sleep(ms)
  }
}

/** A response whose head has come in time. Its body may take longer. */
async function fetchInTime(url: string, init: RequestInit): Promise<Response> {
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(new DOMException('no answer', 'TimeoutError')), TIMEOUT_MS)
  try {
    return await fetch(url, { ...init, signal: late.signal })
  } finally {
    clearTimeout(timer)
  }
}

/** There was no answer. The message is for the operator, and contains nothing that was sent. */
export class ConnectionFailed extends CommandRefused {
  readonly code: string

  constructor(url: string, code: string) {
    super(`${url} ${WORDS[code] ?? 'cannot be reached'}${code === '' ? '' : ` (${code})`}`)
    this.code = code
  }
}

/** How long an overloaded portal asks to wait before the same request; null where it does not, or for too long (seconds). */
export function secondsUntilRetry({ status, headers }: Response): number | null {
  const asked = Number(headers.get('retry-after') ?? Number.NaN)
  return (status === 429 || status === 503) && asked >= 0 && asked <= LONGEST_WAIT ? asked : null
}

function codeOf(error: unknown): string {
  for (let each = error; each instanceof Error; each = each.cause) {
    const { code } = each as NodeJS.ErrnoException
    if (typeof code === 'string') return code
    if (each.name === 'TimeoutError') return 'ETIMEDOUT'
    if (each instanceof SyntaxError) return 'EJSON'
    if (each instanceof AggregateError) return codeOf(each.errors[0])
  }
  return ''
}

const BEFORE_SENDING = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'UND_ERR_CONNECT_TIMEOUT'])
const WHILE_SENDING = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'])

const UNKNOWN_AUTHORITY =
  'has a certificate of an authority that this machine does not know: NODE_EXTRA_CA_CERTS can name a file with it'

const WORDS: Record<string, string> = {
  ECONNREFUSED: 'refuses connections',
  ECONNRESET: 'closed the connection',
  EPIPE: 'closed the connection',
  UND_ERR_SOCKET: 'closed the connection',
  ENOTFOUND: 'has a host that does not exist',
  EAI_AGAIN: 'has a host that cannot be looked up now',
  EHOSTUNREACH: 'has a host that cannot be reached',
  UND_ERR_CONNECT_TIMEOUT: 'did not answer in time',
  ETIMEDOUT: 'did not answer in time',
  EJSON: 'gave an answer that is not JSON',
  DEPTH_ZERO_SELF_SIGNED_CERT: UNKNOWN_AUTHORITY,
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_AUTHORITY,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_AUTHORITY,
  CERT_HAS_EXPIRED: 'has a certificate that has expired',
  ERR_TLS_CERT_ALTNAME_INVALID: 'has a certificate for another host',
  ERR_SSL_WRONG_VERSION_NUMBER: 'does not speak TLS',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'does not speak TLS',
}
