import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { httpbis, type SignatureParameters, type SigningKey } from 'http-message-signatures'

/** A key of both sides, and its name on the wire. */
export interface SourceKey {
  id: string
  key: Buffer
}

export type MessageHeaders = Readonly<Record<string, string | string[] | undefined>>

export interface SignedMessage {
  /** By their names in small letters, as Node.js has them. */
  headers: MessageHeaders
  body: string | Buffer
}

export interface SignedRequest extends SignedMessage {
  method: string
  /** The whole URL, as the sender knows it. */
  url: string
}

export interface SignedAnswer extends SignedMessage {
  status: number
}

/** `nonce` may not be used again `until` then; the caller remembers it, in every process. */
export type RequestProof = { kind: 'valid'; nonce: string; until: Date } | { kind: 'refused'; reason: string }

export const TAG = 'gatehouse-identity-source'
/** How long the signature of a request may be used (seconds). */
export const LIFETIME = 60
/** How far two clocks may differ (seconds). */
export const SKEW = 30

const REQUEST_COMPONENTS = ['"@method"', '"@target-uri"', '"content-type"', '"content-digest"']
/** The signature of the request covers its nonce, so a signed answer belongs to one request. */
const ANSWER_COMPONENTS = ['"@status"', '"content-type"', '"content-digest"', '"signature";req']
const REQUEST_PARAMETERS = ['created', 'expires', 'nonce', 'keyid', 'alg', 'tag']
const ANSWER_PARAMETERS = ['created', 'keyid', 'alg', 'tag']

/**
 * The keys that both sides derive from the secrets.
 * @param secrets one or more, with commas between: the first signs, all verify
 */
export function sourceKeysOf(secrets: string): [SourceKey, ...SourceKey[]] {
  const keys = secrets.split(',').flatMap((secret) => (secret.trim() === '' ? [] : [keyOf(secret.trim())]))
  if (keys.length === 0) throw new Error('an identity source needs a secret')
  return keys as [SourceKey, ...SourceKey[]]
}

function keyOf(secret: string): SourceKey {
  const key = createHmac('sha256', secret).update(TAG).digest()
  return { id: createHash('sha256').update(key).digest('hex').slice(0, 16), key }
}

/** The headers of a signed request (RFC 9421): with a digest of its body (RFC 9530), good for a minute and for once. */
export async function signRequest(
  { method, url, body }: Omit<SignedRequest, 'headers'>,
  [key]: readonly [SourceKey, ...SourceKey[]],
  { now, nonce }: { now: Date; nonce: string },
): Promise<Record<string, string>> {
  const headers = headersOf(body)
  const { headers: signed } = await httpbis.signMessage(
    {
      key: signerOf(key),
      name: 'gatehouse',
      fields: REQUEST_COMPONENTS,
      params: REQUEST_PARAMETERS,
      paramValues: { created: now, expires: new Date(now.getTime() + LIFETIME * 1000), nonce, tag: TAG },
    },
    { method, url, headers },
  )
  return lowerCased(signed)
}

/** The headers of a signed answer, with the key of the request, so that a new secret can be added on one side at a time. */
export async function signAnswer(
  { status, body }: Omit<SignedAnswer, 'headers'>,
  request: SignedRequest,
  keys: readonly [SourceKey, ...SourceKey[]],
  now: Date,
): Promise<Record<string, string>> {
  const asked = /;keyid="([^"]+)"/.exec(textOf(request.headers['signature-input'] ?? ''))?.[1]
  const key = keys.find(({ id }) => id === asked) ?? keys[0]
  const { headers: signed } = await httpbis.signMessage(
    {
      key: signerOf(key),
      name: 'gatehouse',
      fields: ANSWER_COMPONENTS,
      params: ANSWER_PARAMETERS,
      paramValues: { created: now, tag: TAG },
    },
    { status, headers: headersOf(body) },
    libraryMessage(request),
  )
  return lowerCased(signed)
}

/** Checks everything but whether the nonce is new. Never throws. */
export async function verifyRequest(
  request: SignedRequest,
  keys: readonly SourceKey[],
  now: Date,
): Promise<RequestProof> {
  const problem = bodyProblem(request)
  if (problem !== null) return { kind: 'refused', reason: problem }
  const found = await verified(REQUEST_COMPONENTS, keys, (config) =>
    httpbis.verifyMessage(config, libraryMessage(request)),
  )
  if ('reason' in found) return { kind: 'refused', reason: found.reason }
  const { created, expires, nonce } = found.parameters
  const [from, to] = [created?.getTime(), Number(expires) * 1000]
  if (from === undefined || !Number.isFinite(from) || !Number.isFinite(to))
    return { kind: 'refused', reason: 'the signature has no `created` and `expires`' }
  const until = Math.min(to, from + LIFETIME * 1000) + SKEW * 1000
  if (from > now.getTime() + SKEW * 1000)
    return { kind: 'refused', reason: 'the signature was made in the future: compare the clocks' }
  if (until < now.getTime()) return { kind: 'refused', reason: 'the signature is too old: compare the clocks' }
  if (typeof nonce !== 'string' || !/^[\x21-\x7e]{16,100}$/.test(nonce))
    return { kind: 'refused', reason: 'the signature has no `nonce` of 16 to 100 characters' }
  return { kind: 'valid', nonce, until: new Date(until) }
}

/** Why this is not the answer to that request by a holder of one of the keys; null when it is. Never throws. */
export async function answerProblem(
  answer: SignedAnswer,
  request: SignedRequest,
  keys: readonly SourceKey[],
): Promise<string | null> {
  const problem = bodyProblem(answer)
  if (problem !== null) return problem
  const found = await verified(ANSWER_COMPONENTS, keys, (config) =>
    httpbis.verifyMessage(config, libraryMessage(answer), libraryMessage(request)),
  )
  return 'reason' in found ? found.reason : null
}

type VerifyConfig = Parameters<typeof httpbis.verifyMessage>[0]

/** The parameters of the one signature with our tag, which must cover these components. */
async function verified(
  components: string[],
  keys: readonly SourceKey[],
  verify: (config: VerifyConfig) => Promise<boolean | null>,
): Promise<{ parameters: SignatureParameters } | { reason: string }> {
  const ours: SignatureParameters[] = []
  let reason: string | null = null
  const isValid = await verify({
    // Their own times are checked by the caller, with its clock.
    tolerance: Infinity,
    keyLookup: async (parameters) => {
      if (parameters.tag !== TAG) return null
      ours.push(parameters)
      const key = keys.find(({ id }) => id === parameters.keyid)
      if (key === undefined) reason = `no secret has the key id ${JSON.stringify(parameters.keyid ?? null)}`
      if (key === undefined) return null
      return {
        id: key.id,
        algs: ['hmac-sha256'],
        verify: async (base, signature) => {
          const covered = coveredBy(base.toString())
          const missing = components.find((each) => !covered.includes(each))
          if (missing !== undefined) reason = `the signature does not cover ${missing}`
          return missing === undefined && hasTag(base, signature, key)
        },
      }
    },
  }).catch(() => {
    reason ??= 'the signature is malformed, or covers a header that is missing'
    return false
  })
  if (ours.length > 1) return { reason: `it has several signatures with the tag ${TAG}` }
  if (ours[0] === undefined) return { reason: reason ?? `it has no signature with the tag ${TAG}` }
  return isValid === true ? { parameters: ours[0] } : { reason: reason ?? 'the signature does not match' }
}

function hasTag(base: Buffer, signature: Buffer, { key }: SourceKey): boolean {
  const expected = createHmac('sha256', key).update(base).digest()
  return signature.length === expected.length && timingSafeEqual(signature, expected)
}

/** The identifiers of the components of a signature base, such as `"signature";req` (RFC 9421 §2.5). */
function coveredBy(base: string): string[] {
  return base.split('\n').flatMap((line) => /^("[^"]+"(?:;[a-z]+)*): /.exec(line)?.[1] ?? [])
}

function signerOf({ id, key }: SourceKey): SigningKey {
  return { id, alg: 'hmac-sha256', sign: async (base) => createHmac('sha256', key).update(base).digest() }
}

function headersOf(body: string | Buffer): Record<string, string> {
  return { 'content-type': 'application/json', 'content-digest': contentDigest(body) }
}

/** The value of Content-Digest (RFC 9530). */
export function contentDigest(body: string | Buffer): string {
  return `sha-256=:${createHash('sha256').update(body).digest('base64')}:`
}

function bodyProblem({ headers, body }: SignedMessage): string | null {
  if (!/^application\/json *(;|$)/i.test(textOf(headers['content-type'] ?? '')))
    return 'its content type is not application/json'
  const digest = /(?:^|[ ,])(sha-256=:[^:]*:)/.exec(textOf(headers['content-digest'] ?? ''))?.[1]
  if (digest === undefined) return 'it has no Content-Digest with sha-256'
  return digest === contentDigest(body) ? null : 'its body is not the one of its Content-Digest'
}

function textOf(value: string | string[]): string {
  return typeof value === 'string' ? value : value.join(', ')
}

/** As the library takes it: without headers that are not there. */
function libraryMessage<M extends { headers: MessageHeaders }>(
  message: M,
): M & { headers: Record<string, string | string[]> } {
  const headers = Object.entries(message.headers).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const],
  )
  return { ...message, headers: Object.fromEntries(headers) }
}

/** The library adds headers of its own in capitals. */
function lowerCased(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}
