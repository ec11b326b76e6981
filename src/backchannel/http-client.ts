import { lookup, type LookupAddress } from 'node:dns'
import { Agent, request as httpRequest, STATUS_CODES } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import type { IncomingMessage, RequestOptions } from 'node:http'
import { BlockList, isIPv6, type LookupFunction } from 'node:net'
import { promisify } from 'node:util'
import { RequestFilteringHttpsAgent } from 'request-filtering-agent'
import { isPublic, reachedIps } from './reached-ips.ts'

/** What came of asking an app. `problem` is in words, without anything secret. */
export type BackChannelOutcome =
  | { kind: 'accepted' }
  /** The app answered, and not with what the specification calls success. */
  | { kind: 'refused'; status: number; problem: string }
  /** Nobody answered, or only to say that now is not the time (429, 503). */
  | { kind: 'unreachable'; problem: string }

/** The way from the portal to addresses that apps gave. */
export interface BackChannelClient {
  /** Never rejects. @param accepted statuses that mean success */
  post(uri: string, body: { contentType: string; text: string }, accepted: number[]): Promise<BackChannelOutcome>
  /** Whoever still waits for an answer is told that nobody gave one. */
  close(): void
}

export interface BackChannelOptions {
  /** CIDRs that may be reached although they are private, and without TLS. */
  allowedNetworks: string[]
  /** From looking its name up to the last byte of its answer. */
  timeoutMs?: number
  /** Who knows the addresses of a name. */
  resolve?: (hostname: string) => Promise<LookupAddress[]>
}

const TIMEOUT_MS = 5000
const LONGEST_ANSWER = 16 * 1024
/** Connections kept open: few at one app, whoever it is, and not for long. */
const KEPT = { keepAlive: true, maxFreeSockets: 4, maxTotalSockets: 256, timeout: 15_000 }

/** SSRF guard: cloud metadata endpoints. No app is there, so they are refused even inside an allowed network. */
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
 * Opens the way to apps. An address is judged after its name has been looked up, and the connection goes to the very
 * address that was judged, so a name that changes its mind in between (DNS rebinding) gains nothing.
 */
export function createBackChannelClient(options: BackChannelOptions): BackChannelClient {
  const { timeoutMs = TIMEOUT_MS, resolve = resolveName } = options
  const allowed = networks(options.allowedNetworks)
  const closing = new AbortController()
  const agents = {
    'http:': new Agent(KEPT),
    'https:': new HttpsAgent(KEPT),
    /** Refuses every address that is not a public one. */
    public: new RequestFilteringHttpsAgent(KEPT),
  }

  return {
    async post(uri, body, accepted) {
      const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(timeoutMs)])
      try {
        signal.throwIfAborted()
        const url = new URL(uri)
        const route = await Promise.race([routeTo(url), aborted(signal)])
        return outcomeOf(await send(url, body, { ...route, signal }), accepted)
      } catch (error) {
        return { kind: 'unreachable', problem: problemOf(error) }
      }
    },
    close() {
      closing.abort()
      for (const agent of Object.values(agents)) agent.destroy()
    },
  }

  async function routeTo(url: URL): Promise<RequestOptions> {
    const addresses = await resolve(url.hostname.replace(/^\[(.*)\]$/, '$1'))
    if (addresses.some(({ address }) => reachedIps(address).some(isIn(METADATA))))
      throw new Unreachable('its address is one where a cloud keeps credentials')
    const inside = addresses.filter(({ address }) => isAllowed(address))
    if (inside.length > 0) return { agent: agents[url.protocol as 'http:' | 'https:'], lookup: always(inside) }
    if (url.protocol !== 'https:')
      throw new Unreachable('it is not https, and its address is in no network that ALLOWED_NETWORKS allows')
    if (!addresses.every(({ address }) => reachedIps(address).every(isPublic))) throw new Unreachable(PRIVATE)
    return { agent: agents.public, lookup: always(addresses) }
  }

  /** An address is judged as what it reaches: a wide network of IPv6 does not allow the private IPv4 that its addresses carry. */
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

/** @param code one of Node.js, OpenSSL or the HTTP parser */
function wordsOf(code: string): string {
  if (code.startsWith('HPE_')) return 'answered with something that is not HTTP, or too much of it'
  return (
    WORDS[code] ??
    (/CERT|SIGNATURE|ISSUER/.test(code) ? `its certificate does not hold (${code})` : 'cannot be reached')
  )
}

/** Sends, follows nothing, and resolves with the status line; what comes behind it is nobody's concern. */
async function send(
  url: URL,
  { contentType, text }: { contentType: string; text: string },
  options: RequestOptions,
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, {
    ...options,
    method: 'POST',
    headers: {
      'Content-Type': contentType,
      'Content-Length': Buffer.byteLength(text),
      Accept: 'application/json',
      'User-Agent': 'Gatehouse',
    },
  })
  request.on('error', (error: NodeJS.ErrnoException) => {
    // An app may close a kept connection at the very moment that it is used again.
    if (request.reusedSocket && error.code === 'ECONNRESET') resolve(send(url, { contentType, text }, options))
    else reject(error)
  })
  request.on('response', (response) => {
    readAway(response)
    resolve(response)
  })
  request.end(text)
  return promise
}

/** A short answer is read to its end, so that the connection can be used again. */
function readAway(response: IncomingMessage): void {
  let length = 0
  response.on('data', (chunk: Buffer) => {
    length += chunk.length
    if (length > LONGEST_ANSWER) response.destroy()
  })
  // Whoever stops in the middle of it has said what mattered.
  response.on('error', () => {})
}

function outcomeOf({ statusCode: status = 0 }: IncomingMessage, accepted: number[]): BackChannelOutcome {
  if (accepted.includes(status)) return { kind: 'accepted' }
  const problem = `answered ${[status, STATUS_CODES[status]].filter(Boolean).join(' ')}`
  if (status >= 300 && status < 400)
    return { kind: 'refused', status, problem: `${problem}, and redirects are not followed` }
  return status === 429 || status === 503 ? { kind: 'unreachable', problem } : { kind: 'refused', status, problem }
}

const lookupAll = promisify(lookup)

async function resolveName(hostname: string): Promise<LookupAddress[]> {
  return lookupAll(hostname, { all: true })
}

/** Answers every question for a name with these addresses. */
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

/** Each family has a list of its own: Node.js would find every IPv4 address in a wide network of IPv6. */
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
