import { lookup, type LookupAddress } from 'node:dns'
import { Agent, request as httpRequest, STATUS_CODES } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import type { IncomingMessage, RequestOptions } from 'node:http'
import { BlockList, isIPv6, type LookupFunction } from 'node:net'
import { promisify } from 'node:util'
import { RequestFilteringHttpsAgent } from 'request-filtering-agent'
import { isPublic, reachedIps } from './reached-ips.ts'

/** The result of one request to an app. `problem` is a sentence without secrets. */
export type BackChannelOutcome =
  | { kind: 'accepted'; status: number }
  /** The app answered with a status that the specification does not count as success. */
  | { kind: 'refused'; status: number; problem: string }
  /** The app did not answer, or asked for a retry later (429, 503). */
  | { kind: 'unreachable'; status?: number; problem: string }

/** The result of fetching a file once. `problem` is a sentence without secrets. */
export type Download = { kind: 'received'; bytes: Buffer<ArrayBuffer> } | { kind: 'failed'; problem: string }

/** The HTTP client for URIs that apps registered, with its SSRF guard. */
export interface BackChannelClient {
  /** Never rejects. @param accepted statuses that mean success */
  post(uri: string, body: RequestBody, accepted: number[]): Promise<BackChannelOutcome>
  /** Fetches a file of at most `limit` bytes. Never rejects. */
  get(uri: string, limit: number): Promise<Download>
  /** Sends a GET and does not read what comes, to see whether something is there. Never rejects. */
  look(uri: string, accepted: number[]): Promise<BackChannelOutcome>
  /** Aborts every request; its caller gets `unreachable`. */
  close(): void
}

export interface BackChannelOptions {
  /** CIDRs that may be reached although they are private, and without TLS (ALLOWED_NETWORKS). */
  allowedNetworks: string[]
  /** For the whole request, from the DNS lookup to the last byte of the answer. */
  timeoutMs?: number
  /** Says why a URI without TLS is refused. */
  unencrypted?: string
  /** The DNS resolver. */
  resolve?: (hostname: string) => Promise<LookupAddress[]>
}

const TIMEOUT_MS = 5000
const LONGEST_ANSWER = 16 * 1024
/** Keep-alive connections: few for one app, and not for long. */
const KEPT = { keepAlive: true, maxFreeSockets: 4, maxTotalSockets: 256, timeout: 15_000 }

/** SSRF guard: cloud metadata endpoints. No app runs there, so they are refused even inside an allowed network. */
const METADATA = networks([
  '169.254.0.0/16',
  '100.100.100.200/32',
  '168.63.129.16/32',
  'fd00:ec2::254/128',
  'fd00:ec2::23/128',
  'fd20:ce::254/128',
  'fd00:c1::a9fe:a9fe/128',
  'fe80::a9fe:a9fe/128',
])

/**
 * Creates the HTTP client for back-channel requests, with its SSRF guard. The IP address is checked after the DNS lookup, and
 * the connection goes to the very address that was checked. So DNS rebinding gains nothing.
 */
export function createBackChannelClient(options: BackChannelOptions): BackChannelClient {
  const { timeoutMs = TIMEOUT_MS, resolve = resolveName, unencrypted = UNENCRYPTED } = options
  const allowed = networks(options.allowedNetworks)
  const closing = new AbortController()
  const agents = {
    'http:': new Agent(KEPT),
    'https:': new HttpsAgent(KEPT),
    /** Refuses every IP address that is not public. */
    public: new RequestFilteringHttpsAgent(KEPT),
  }

  return {
    post: ask,
    look: async (uri, accepted) => ask(uri, null, accepted),
    async get(uri, limit) {
      try {
        const { response, signal } = await request(uri, null)
        const outcome = outcomeOf(response, [200])
        if (outcome.kind === 'accepted') return await Promise.race([receive(response, limit), aborted(signal)])
        response.destroy()
        return { kind: 'failed', problem: outcome.problem }
      } catch (error) {
        return { kind: 'failed', problem: problemOf(error) }
      }
    },
    close() {
      closing.abort()
      for (const agent of Object.values(agents)) agent.destroy()
    },
  }

  async function ask(uri: string, body: RequestBody | null, accepted: number[]): Promise<BackChannelOutcome> {
    try {
      const { response } = await request(uri, body)
      readAway(response)
      return outcomeOf(response, accepted)
    } catch (error) {
      return { kind: 'unreachable', problem: problemOf(error) }
    }
  }

  /** Resolves once the headers of the answer are there. The time limit goes on until its last byte. */
  async function request(uri: string, body: RequestBody | null) {
    const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(timeoutMs)])
    signal.throwIfAborted()
    const url = new URL(uri)
    const route = await Promise.race([routeTo(url), aborted(signal)])
    return { response: await send(url, body, { ...route, signal }), signal }
  }

  async function routeTo(url: URL): Promise<RequestOptions> {
    const addresses = await resolve(url.hostname.replace(/^\[(.*)\]$/, '$1'))
    if (addresses.some(({ address }) => reachedIps(address).some(isIn(METADATA))))
      throw new Unreachable('its address is one where a cloud keeps credentials')
    const inside = addresses.filter(({ address }) => isAllowed(address))
    if (inside.length > 0) return { agent: agents[url.protocol as 'http:' | 'https:'], lookup: always(inside) }
    if (url.protocol !== 'https:') throw new Unreachable(unencrypted)
    if (!addresses.every(({ address }) => reachedIps(address).every(isPublic))) throw new Unreachable(PRIVATE)
    return { agent: agents.public, lookup: always(addresses) }
  }

  /**
   * An IP address is checked as what it reaches: an allowed IPv6 network does not allow the private IPv4 address inside an IPv6
   * one.
   */
  function isAllowed(address: string): boolean {
    const reached = reachedIps(address)
    const isNamed = isIn(allowed)(address) || reached.every(isIn(allowed))
    return isNamed && (reached.includes(address) || reached.every((each) => isIn(allowed)(each) || isPublic(each)))
  }

  function problemOf(error: unknown): string {
    if (closing.signal.aborted) return 'the portal stopped before it answered'
    const { name, message, code } = error as NodeJS.ErrnoException
    if (error instanceof Unreachable) return message
    if (name === 'TimeoutError' || name === 'AbortError') return `did not answer within ${timeoutMs / 1000} seconds`
    if (message.startsWith('DNS lookup ') && message.includes('is not allowed')) return PRIVATE
    return wordsOf(code ?? '')
  }
}

class Unreachable extends Error {}

const UNENCRYPTED = 'it is not https, and its address is in no network that ALLOWED_NETWORKS allows'
const PRIVATE = 'its address is in a private network, which ALLOWED_NETWORKS does not allow'

const WORDS: Record<string, string> = {
  ENOTFOUND: 'its name has no address',
  EAI_AGAIN: 'its name could not be looked up',
  ECONNREFUSED: 'its address refuses connections',
  ECONNRESET: 'hung up without an answer',
  EHOSTUNREACH: 'its address cannot be reached',
  ENETUNREACH: 'its address cannot be reached',
  ETIMEDOUT: 'its address cannot be reached',
  EPROTO: 'does not speak TLS',
  ERR_SSL_WRONG_VERSION_NUMBER: 'does not speak TLS',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
}

/** The problem as a sentence. @param code an error code of Node.js, OpenSSL or the HTTP parser */
function wordsOf(code: string): string {
  if (code.startsWith('HPE_')) return 'answered with something that is not HTTP, or too much of it'
  return (
    WORDS[code] ??
    (/CERT|SIGNATURE|ISSUER/.test(code) ? `its certificate does not hold (${code})` : 'cannot be reached')
  )
}

interface RequestBody {
  contentType: string
  text: string
  headers?: Record<string, string>
}

/** Sends the request (a GET without a body), follows no redirect, and resolves with the status. The answer is still to be read. */
async function send(url: URL, body: RequestBody | null, options: RequestOptions): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const bodyHeaders = body && {
    ...body.headers,
    'Content-Type': body.contentType,
    'Content-Length': Buffer.byteLength(body.text),
    Accept: 'application/json',
  }
  const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, {
    ...options,
    method: body === null ? 'GET' : 'POST',
    headers: { ...bodyHeaders, 'User-Agent': 'Gatehouse' },
  })
  request.on('error', (error: NodeJS.ErrnoException) => {
    // The app may close a kept connection at the moment it is reused, so the request is sent once more.
    if (request.reusedSocket && error.code === 'ECONNRESET') resolve(send(url, body, options))
    else reject(error)
  })
  request.on('response', resolve)
  // Without an error, such as after 101 Switching Protocols.
  request.on('close', () => reject(new Unreachable(wordsOf('ECONNRESET'))))
  request.end(body?.text)
  return promise
}

/** Reads a file, up to its limit. A length that the server claims is not trusted. */
async function receive(response: IncomingMessage, limit: number): Promise<Download> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length
    // Leaving the loop destroys the answer, and so its connection.
    if (length > limit) return { kind: 'failed', problem: `is longer than ${limit} bytes` }
    chunks.push(chunk)
  }
  return { kind: 'received', bytes: Buffer.concat(chunks) }
}

/** Reads a short answer to its end, so that the connection can be reused. */
function readAway(response: IncomingMessage): void {
  let length = 0
  response.on('data', (chunk: Buffer) => {
    length += chunk.length
    if (length > LONGEST_ANSWER) response.destroy()
  })
  // An error in the body does not matter: the status has been read.
  response.on('error', () => {})
}

function outcomeOf({ statusCode: status = 0 }: IncomingMessage, accepted: number[]): BackChannelOutcome {
  if (accepted.includes(status)) return { kind: 'accepted', status }
  const problem = `answered ${[status, STATUS_CODES[status]].filter(Boolean).join(' ')}`
  if (status >= 300 && status < 400)
    return { kind: 'refused', status, problem: `${problem}, and redirects are not followed` }
  return status === 429 || status === 503
    ? { kind: 'unreachable', status, problem }
    : { kind: 'refused', status, problem }
}

const lookupAll = promisify(lookup)

async function resolveName(hostname: string): Promise<LookupAddress[]> {
  return lookupAll(hostname, { all: true })
}

/** A DNS lookup that answers every name with these IP addresses. */
function always(addresses: LookupAddress[]): LookupFunction {
  return (_hostname, { all }, callback) => {
    const [{ address, family }] = addresses as [LookupAddress]
    if (all === true) callback(null, addresses)
    else callback(null, address, family)
  }
}

async function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })
}

/** IPv4 and IPv6 have separate lists: Node.js would find every IPv4 address in a wide IPv6 network. */
interface Networks {
  ipv4: BlockList
  ipv6: BlockList
}

function networks(cidrs: string[]): Networks {
  const lists = { ipv4: new BlockList(), ipv6: new BlockList() }
  for (const cidr of cidrs) {
    const [address = '', bits] = cidr.split('/')
    const family = familyOf(address)
    lists[family].addSubnet(address, Number(bits), family)
  }
  return lists
}

function isIn(lists: Networks): (address: string) => boolean {
  return (address) => lists[familyOf(address)].check(address.replace(/%.*$/, ''), familyOf(address))
}

function familyOf(address: string): keyof Networks {
  return isIPv6(address) ? 'ipv6' : 'ipv4'
}
