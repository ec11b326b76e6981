// The signatures of the protocol (docs/identity-source-protocol.md): RFC 9421 with a digest of the body, RFC 9530.
import { createHash, createHmac, randomBytes } from 'node:crypto'
import { createSigner, createVerifier, httpbis } from 'http-message-signatures'

export interface Message {
  headers: Record<string, string>
  body: Buffer | string
}

export interface Request extends Message {
  method: string
  url: string
}

const TAG = 'gatehouse-identity-source'
const LIFETIME_MS = 60_000
const SKEW_MS = 30_000
const OF_REQUEST = ['@method', '@target-uri', 'content-type', 'content-digest']
const OF_ANSWER = ['@status', 'content-type', 'content-digest', '"signature";req']

/** Several secrets, with commas between, are for the time while one is replaced: the first signs. */
function keysOf(secrets: string): { id: string; key: Buffer }[] {
  return secrets.split(',').map((secret) => {
    const key = createHmac('sha256', secret.trim()).update(TAG).digest()
    return { id: createHash('sha256').update(key).digest('hex').slice(0, 16), key }
  })
}

function digestOf(body: Buffer | string): string {
  return `sha-256=:${createHash('sha256').update(body).digest('base64')}:`
}

/** Why a request is not from the portal, or its nonce and until when that must be remembered. */
export async function verifyRequest(
  request: Request,
  secrets: string,
): Promise<{ problem: string } | { nonce: string; until: Date }> {
  if (request.headers['content-digest'] !== digestOf(request.body))
    return { problem: 'the digest is not that of the body' }
  let seen: { created: number; expires: number; nonce: string } | undefined
  const isValid = await httpbis
    .verifyMessage(
      {
        requiredFields: OF_REQUEST,
        requiredParams: ['created', 'expires', 'nonce', 'keyid', 'tag'],
        tolerance: SKEW_MS / 1000,
        keyLookup: async ({ keyid, tag, created, expires, nonce }) => {
          const found = tag === TAG ? keysOf(secrets).find(({ id }) => id === keyid) : undefined
          if (found === undefined) return null
          seen = { created: Number(created), expires: Number(expires) * 1000, nonce: String(nonce) }
          return { id: found.id, algs: ['hmac-sha256'], verify: createVerifier(found.key, 'hmac-sha256') }
        },
      },
      request,
    )
    .catch(() => false)
  if (isValid !== true || seen === undefined) return { problem: 'the signature is not valid' }
  const until = Math.min(seen.expires, seen.created + LIFETIME_MS) + SKEW_MS
  if (!(until > Date.now())) return { problem: 'the signature is too old' }
  if (!/^[\x21-\x7e]{16,100}$/.test(seen.nonce)) return { problem: 'the nonce is not one' }
  return { nonce: seen.nonce, until: new Date(until) }
}

/** The headers of an answer. It is signed with the key of its request, and covers the signature of it. */
export async function signAnswer(status: number, body: string, request: Request, secrets: string) {
  const keys = keysOf(secrets)
  const { id, key } = keys.find(({ id }) => request.headers['signature-input']?.includes(`keyid="${id}"`)) ?? keys[0]!
  const { headers } = await httpbis.signMessage(
    {
      key: createSigner(key, 'hmac-sha256', id),
      fields: OF_ANSWER,
      params: ['created', 'keyid', 'tag'],
      paramValues: { tag: TAG },
    },
    { status, headers: { 'content-type': 'application/json', 'content-digest': digestOf(body) } },
    request,
  )
  return headers
}

/** The headers of a request to the portal. */
export async function signRequest(url: string, body: string, secrets: string): Promise<Record<string, string>> {
  const [{ id, key }] = keysOf(secrets) as [{ id: string; key: Buffer }]
  const { headers } = await httpbis.signMessage(
    {
      key: createSigner(key, 'hmac-sha256', id),
      fields: OF_REQUEST,
      params: ['created', 'expires', 'nonce', 'keyid', 'tag'],
      paramValues: {
        expires: new Date(Date.now() + LIFETIME_MS),
        nonce: randomBytes(16).toString('base64url'),
        tag: TAG,
      },
    },
    { method: 'POST', url, headers: { 'content-type': 'application/json', 'content-digest': digestOf(body) } },
  )
  return headers
}
