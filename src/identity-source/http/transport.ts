import { Agent, request as httpRequest, STATUS_CODES } from 'node:http'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { ANSWER_LIMIT } from './protocol.ts'

export interface OutgoingRequest {
  url: string
  headers: Record<string, string>
  body: string
}

export interface IncomingAnswer {
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
}

/**
 * Why there is no answer that may be read. `connection`: it failed before an answer began. `late`: the time is over. `busy`: a
 * status that says to come again later (429, 502, 503, 504). `answer`: it says nothing about other requests. The message is a
 * sentence without anything of the request.
 */
export class RequestFailed extends Error {
  readonly kind: 'connection' | 'late' | 'busy' | 'answer'
  /** Seconds, where the source said so (Retry-After). */
  readonly retryAfter: number | null

  constructor(
    kind: RequestFailed['kind'],
    message: string,
    options: ErrorOptions & { retryAfter?: number | null } = {},
  ) {
    super(message, options)
    this.kind = kind
    this.retryAfter = options.retryAfter ?? null
  }
}

export interface Transport {
  /**
   * Sends one request, follows no redirect, and reads an answer of status 200 up to its limit.
   * @param fresh on a connection of its own: a kept one may close at the moment it is reused, and a change is not sent twice
   * @throws RequestFailed
   */
  post: (request: OutgoingRequest, signal: AbortSignal, fresh: boolean) => Promise<IncomingAnswer>
  close: () => void
}

const KEPT = { keepAlive: true, maxFreeSockets: 32, timeout: 30_000 }

/** @param timeoutMs for one request, from the DNS lookup to the last byte of its answer */
export function openTransport(timeoutMs: number): Transport {
  const agents = { 'http:': new Agent(KEPT), 'https:': new HttpsAgent(KEPT) }
  const closing = new AbortController()

  return {
    async post(request, signal, fresh) {
      const timeout = AbortSignal.timeout(timeoutMs)
      const ended = AbortSignal.any([timeout, signal, closing.signal])
      const agent = fresh ? undefined : agents[new URL(request.url).protocol as keyof typeof agents]
      try {
        const response = await send(request, agent, ended)
        return { status: 200, headers: response.headers, body: await receive(response) }
      } catch (error) {
        if (error instanceof RequestFailed) throw error
        if (closing.signal.aborted) throw new RequestFailed('late', 'the portal stopped before it answered')
        if (ended.aborted)
          throw new RequestFailed('late', `did not answer within ${timeoutMs / 1000} seconds`, { cause: error })
        throw new RequestFailed('answer', 'hung up in the middle of its answer', { cause: error })
      }
    },
    close() {
      closing.abort()
      for (const agent of Object.values(agents)) agent.destroy()
    },
  }
}

/** Resolves with an answer of status 200 whose body is still to be read. */
async function send(
  { url, headers, body }: OutgoingRequest,
  agent: Agent | undefined,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const request = (url.startsWith('https:') ? httpsRequest : httpRequest)(url, {
    method: 'POST',
    headers: {
      ...headers,
      'Content-Length': Buffer.byteLength(body),
      Accept: 'application/json',
      'Accept-Encoding': 'identity',
      'User-Agent': 'Gatehouse',
    },
    signal,
    // Without an agent the connection ends with its answer.
    agent: agent ?? false,
  })
  request.on('error', (error: NodeJS.ErrnoException) => {
    reject(signal.aborted ? error : failedConnection(error))
  })
  request.on('response', resolve)
  // Without an error, such as after 101 Switching Protocols.
  request.on('close', () => reject(new RequestFailed('answer', 'hung up without an answer')))
  request.end(body)
  const response = await promise
  if (response.statusCode === 200) return response
  // Its body says nothing that may be believed, and reading it could take long.
  response.destroy()
  throw failedStatus(response)
}

function failedConnection(error: NodeJS.ErrnoException): RequestFailed {
  const { code = '' } = error
  if (code.startsWith('HPE_')) return new RequestFailed('answer', 'answered with something that is not HTTP')
  return new RequestFailed('connection', `cannot be reached (${code === '' ? error.name : code})`, { cause: error })
}

function failedStatus({ statusCode: status = 0, headers }: IncomingMessage): RequestFailed {
  const words = `answered ${[status, STATUS_CODES[status]].filter(Boolean).join(' ')}`
  if (status >= 300 && status < 400) return new RequestFailed('answer', `${words}, and redirects are not followed`)
  if (![429, 502, 503, 504].includes(status)) return new RequestFailed('answer', words)
  const retryAfter = /^\d{1,9}$/.exec(headers['retry-after'] ?? '')?.[0]
  return new RequestFailed('busy', words, { retryAfter: retryAfter === undefined ? null : Number(retryAfter) })
}

/** A length that the server claims is not trusted. */
async function receive(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length
    // Leaving the loop destroys the answer, and so its connection.
    if (length > ANSWER_LIMIT) throw new RequestFailed('answer', `answered more than ${ANSWER_LIMIT} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
