import { createHash, createHmac, randomBytes } from 'node:crypto'
import { httpbis } from 'http-message-signatures'
import { type AnswerOf, ANSWER_LIMIT, type InputOf, type OperationName, OPERATIONS } from '../protocol.ts'
import { contentDigest, type SignedRequest, type SourceKey, sourceKeysOf, TAG } from '../signatures.ts'

/** How a request differs from one that the portal sends. */
export interface Variation {
  method?: string
  contentType?: string
  key?: SourceKey
  /** The URL that is signed, in place of the one that is asked. */
  signedUrl?: string
  /** Seconds from now. */
  created?: number
  expires?: number
  fields?: string[]
  nonce?: string
  /** Makes the request that is sent out of the one that was signed. */
  change?: (request: SignedRequest) => SignedRequest
}

export interface Received {
  request: SignedRequest
  /** 0 where nothing came. */
  status: number
  headers: Record<string, string>
  body: string
  isTooLong: boolean
  /** Until its last byte (ms). */
  duration: number
  /** Why nothing came. */
  problem: string | null
}

/** A check cannot say anything, for a reason that another check is about. */
export class Unjudged extends Error {}

const FIELDS = ['@method', '@target-uri', 'content-type', 'content-digest']
const PARAMETERS = ['created', 'expires', 'nonce', 'keyid', 'alg', 'tag']
/** Longer than the portal waits, so that what is slow is told from what is not there. */
const TIMEOUT_MS = 10_000

/** Sends a source what the portal would send, and what it never would. Remembers every answer to the former. */
export class Probe {
  readonly base: string
  readonly keys
  readonly clock: () => Date
  readonly #elapsed: () => number
  /** What came in answer to requests as agreed. */
  readonly answers: Received[] = []
  /** A user whom the source has; null where none was given. */
  readonly login: string | null
  readonly password: string | null
  /** Whether users may be created, who stay. */
  readonly mayCreate: boolean

  constructor(options: {
    url: string
    secret: string
    clock?: () => Date
    /** Milliseconds, since any time. */
    elapsed?: () => number
    login?: string
    password?: string
    mayCreate?: boolean
  }) {
    this.base = options.url.replace(/\/+$/, '')
    this.keys = sourceKeysOf(options.secret)
    const { clock = () => new Date() } = options
    this.clock = clock
    this.#elapsed = options.elapsed ?? (() => performance.now())
    this.login = options.login ?? null
    this.password = options.password ?? null
    this.mayCreate = options.mayCreate ?? false
  }

  /** What a source answers to a request of the portal. @throws Unjudged if it does not */
  async ask<N extends OperationName>(name: N, input: InputOf<N>): Promise<AnswerOf<N>> {
    const received = await this.receive(name, input)
    const result = OPERATIONS[name].answer.safeParse(jsonOf(received.body))
    if (result.success) return result.data as AnswerOf<N>
    const [issue] = result.error.issues
    throw new NotAsAgreed(OPERATIONS[name].path, issue?.path.join('.') ?? '')
  }

  /** An answer with status 200, whatever it says. @throws Unjudged */
  async receive(name: OperationName, input: object): Promise<Received> {
    const received = await this.send(OPERATIONS[name].path, JSON.stringify(input))
    this.answers.push(received)
    const { status } = received
    if (received.problem !== null) throw new Unjudged(`${OPERATIONS[name].path} ${received.problem}`)
    if (received.isTooLong) throw new Unjudged(`the answer to ${OPERATIONS[name].path} is too long`)
    if (status >= 300 && status < 400) throw new Unjudged(`${OPERATIONS[name].path} was redirected`)
    if (status !== 200) throw new NotAsAgreed(OPERATIONS[name].path, `status ${status}`)
    return received
  }

  /** Signs and sends a request. Never rejects. */
  async send(path: string, body: string, variation: Variation = {}): Promise<Received> {
    return this.exchange(await this.sign(path, body, variation))
  }

  async sign(path: string, body: string, variation: Variation): Promise<SignedRequest> {
    const now = this.clock().getTime()
    const {
      method = 'POST',
      contentType = 'application/json',
      key = this.keys[0],
      created = 0,
      expires = 60,
    } = variation
    const url = `${this.base}/${path}`
    const headers = { 'content-type': contentType, 'content-digest': contentDigest(body) }
    const signed = await httpbis.signMessage(
      {
        key: {
          id: key.id,
          alg: 'hmac-sha256',
          sign: async (base) => createHmac('sha256', key.key).update(base).digest(),
        },
        name: 'gatehouse',
        fields: variation.fields ?? FIELDS,
        params: PARAMETERS,
        paramValues: {
          created: new Date(now + created * 1000),
          expires: new Date(now + expires * 1000),
          nonce: variation.nonce ?? randomBytes(16).toString('base64url'),
          tag: TAG,
        },
      },
      { method, url: variation.signedUrl ?? url, headers },
    )
    const request = {
      method,
      url,
      body,
      headers: Object.fromEntries(Object.entries(signed.headers).map(([name, value]) => [name.toLowerCase(), value])),
    }
    return variation.change?.(request) ?? request
  }

  async exchange(request: SignedRequest): Promise<Received> {
    const started = this.#elapsed()
    const nothing = { request, status: 0, headers: {}, body: '', isTooLong: false }
    try {
      const response = await fetch(request.url, {
        method: request.method,
        // Compressed answers would be shown here without compression, and so not as they were signed.
        headers: { ...(request.headers as Record<string, string>), 'accept-encoding': 'identity' },
        ...(request.method === 'GET' ? {} : { body: request.body.toString() }),
        redirect: 'manual',
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })
      const { body, isTooLong } = await read(response)
      const headers = Object.fromEntries(response.headers)
      const duration = this.#elapsed() - started
      return { request, status: response.status, headers, body, isTooLong, duration, problem: null }
    } catch (error) {
      const { name, cause } = error as Error
      const code = (cause as NodeJS.ErrnoException | undefined)?.code
      const problem =
        name === 'TimeoutError' ? `did not answer within ${TIMEOUT_MS / 1000} seconds` : `failed (${code ?? name})`
      return { ...nothing, duration: this.#elapsed() - started, problem }
    }
  }

  /** Of a secret that the source does not have. */
  otherKey(): SourceKey {
    const key = randomBytes(32)
    return { id: createHash('sha256').update(key).digest('hex').slice(0, 16), key }
  }
}

/** A request as agreed has an answer that is not. */
export class NotAsAgreed extends Error {
  readonly operation: string

  constructor(path: string, place: string) {
    super(`${path} was answered with ${place.startsWith('status ') ? place : `a wrong ${place || 'body'}`}`)
    this.operation = path
  }
}

async function read(response: Response): Promise<{ body: string; isTooLong: boolean }> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    length += chunk.length
    if (length > ANSWER_LIMIT) return { body: '', isTooLong: true }
    chunks.push(chunk)
  }
  return { body: Buffer.concat(chunks).toString(), isTooLong: false }
}

/** Undefined for what is not JSON. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
