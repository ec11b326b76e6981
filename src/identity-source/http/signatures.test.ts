import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { createSigner, httpbis } from 'http-message-signatures'
import {
  answerProblem,
  type RequestProof,
  signAnswer,
  type SignedRequest,
  signRequest,
  sourceKeysOf,
  TAG,
  verifyRequest,
} from './signatures.ts'

const KEYS = sourceKeysOf('a secret of thirty-two characters')
const NOW = new Date('2030-01-01T12:00:00Z')
const NONCE = 'AAAAAAAAAAAAAAAAAAAAAA'
const ASKED = { method: 'POST', url: 'https://people.example.com/gatehouse/find', body: '{"login":"ada"}' }

async function signed(change: Partial<SignedRequest> = {}): Promise<SignedRequest> {
  const headers = await signRequest(ASKED, KEYS, { now: NOW, nonce: NONCE })
  return { ...ASKED, headers, ...change }
}

/** As a signer with the secret may get it wrong. */
async function signedBy(config: {
  fields?: string[]
  params?: string[]
  values?: Record<string, string | Date>
}): Promise<SignedRequest> {
  const [{ id, key }] = KEYS
  const { headers } = await signed()
  const bare = { 'content-type': 'application/json', 'content-digest': String(headers['content-digest']) }
  const message = await httpbis.signMessage(
    {
      key: createSigner(key, 'hmac-sha256', id),
      name: 'x',
      fields: config.fields ?? ['@method', '@target-uri', 'content-type', 'content-digest'],
      params: config.params ?? ['created', 'expires', 'nonce', 'keyid', 'alg', 'tag'],
      paramValues: {
        created: NOW,
        expires: new Date(NOW.getTime() + 60_000),
        nonce: NONCE,
        tag: TAG,
        ...config.values,
      },
    },
    { ...ASKED, headers: bare },
  )
  return {
    ...ASKED,
    headers: Object.fromEntries(Object.entries(message.headers).map(([name, value]) => [name.toLowerCase(), value])),
  }
}

function reasonOf(proof: RequestProof): string {
  return proof.kind === 'refused' ? proof.reason : proof.kind
}

test('a signed request is valid for a minute and the skew of two clocks, and says until when its nonce counts', async () => {
  const request = await signed()
  const at = async (seconds: number) => verifyRequest(request, KEYS, new Date(NOW.getTime() + seconds * 1000))
  assert.deepEqual(await at(0), { kind: 'valid', nonce: NONCE, until: new Date('2030-01-01T12:01:30Z') })
  assert.equal((await at(90)).kind, 'valid')
  assert.match(reasonOf(await at(91)), /too old/)
  assert.equal((await at(-30)).kind, 'valid')
  assert.match(reasonOf(await at(-31)), /in the future/)
})

test('it may come with other labels, orders and headers', async () => {
  const request = await signedBy({ fields: ['content-digest', '@target-uri', '@method', 'content-type'] })
  assert.equal((await verifyRequest(request, KEYS, NOW)).kind, 'valid')
  const headers = { ...request.headers, 'x-request-id': '1' }
  assert.equal((await verifyRequest({ ...request, headers }, KEYS, NOW)).kind, 'valid')
})

test('what was changed, or is not covered, is refused with the reason', async () => {
  const original = await signed()
  const { headers } = original
  const input = String(headers['signature-input'])
  const forged: [SignedRequest, RegExp][] = [
    [{ ...original, method: 'PUT' }, /does not match/],
    [{ ...original, url: `${ASKED.url}x` }, /does not match/],
    [{ ...original, url: 'https://elsewhere.example.com/gatehouse/find' }, /does not match/],
    [{ ...original, body: '{"login":"eve"}' }, /body is not the one/],
    [{ ...original, headers: { ...headers, 'content-digest': 'sha-256=:x:' } }, /body is not the one/],
    [{ ...original, headers: { ...headers, 'content-digest': undefined } }, /no Content-Digest/],
    [{ ...original, headers: { ...headers, 'content-digest': 'md5=:x:' } }, /no Content-Digest/],
    [{ ...original, headers: { ...headers, 'content-type': 'text/plain' } }, /content type/],
    [{ ...original, headers: { ...headers, 'content-type': 'application/json; a=b' } }, /does not match/],
    [
      { ...original, headers: { ...headers, 'signature-input': input.replace(/expires=\d+/, 'expires=9999999999') } },
      /not match/,
    ],
    [
      { ...original, headers: { ...headers, 'signature-input': `${input}, ${input.replace('gatehouse=', 'b=')}` } },
      /several|malformed/,
    ],
    [{ ...original, headers: { ...headers, signature: undefined } }, /malformed/],
    [{ ...original, headers: { ...headers, 'signature-input': undefined } }, /malformed/],
    [{ ...original, headers: { ...headers, 'signature-input': '((' } }, /malformed/],
    [{ ...original, headers: { ...headers, signature: 'gatehouse=?1' } }, /malformed/],
    [{ ...original, headers: { ...headers, signature: undefined, 'signature-input': undefined } }, /no signature/],
    [await signedBy({ fields: ['@method', '@target-uri', 'content-type'] }), /cover "content-digest"/],
    [await signedBy({ fields: ['@method', '@path', 'content-type', 'content-digest'] }), /cover "@target-uri"/],
    [await signedBy({ fields: [] }), /cover "@method"/],
    [await signedBy({ params: ['nonce', 'keyid', 'tag'] }), /no `created`/],
    [await signedBy({ params: ['created', 'nonce', 'keyid', 'tag'] }), /no `created` and `expires`/],
    [await signedBy({ params: ['created', 'expires', 'keyid', 'tag'] }), /no `nonce`/],
    [await signedBy({ values: { nonce: 'short' } }), /no `nonce`/],
    [await signedBy({ values: { tag: 'another' } }), /no signature with the tag/],
    [await signedBy({ params: ['created', 'expires', 'nonce', 'keyid'] }), /no signature with the tag/],
    [await signedBy({ values: { keyid: 'other' } }), /key id "other"/],
    [await signedBy({ params: ['created', 'expires', 'nonce', 'tag'] }), /key id null/],
    [await signedBy({ values: { alg: 'none' } }), /malformed|does not match/],
  ]
  for (const [request, reason] of forged) assert.match(reasonOf(await verifyRequest(request, KEYS, NOW)), reason)
})

test('an answer belongs to the request with that very signature, whichever secret signed it', async () => {
  const both = sourceKeysOf('a new secret of thirty-two letters,a secret of thirty-two characters')
  const request = await signed()
  const other: SignedRequest = {
    ...ASKED,
    headers: await signRequest(ASKED, KEYS, { now: NOW, nonce: 'BBBBBBBBBBBBBBBBBBBBBB' }),
  }
  const body = '{"user":null}'
  const answer = { status: 200, body, headers: await signAnswer({ status: 200, body }, request, both, NOW) }
  assert.equal(await answerProblem(answer, request, KEYS), null)
  assert.equal(await answerProblem(answer, other, KEYS), 'the signature does not match')
  assert.equal(await answerProblem({ ...answer, status: 201 }, request, KEYS), 'the signature does not match')
  // The signature of the request says nothing about an answer.
  assert.match(
    (await answerProblem({ ...answer, body: ASKED.body, headers: request.headers }, request, KEYS)) ?? '',
    /malformed/,
  )
})

test('secrets are separated by commas, and one is needed', () => {
  assert.equal(sourceKeysOf(' one , two,').length, 2)
  assert.deepEqual(sourceKeysOf(' one '), sourceKeysOf('one'))
  assert.throws(() => sourceKeysOf(' , '))
})

test('the example in the documentation is what is computed, and another implementation can compute it', async () => {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/identity-source-protocol.md'), 'utf8')
  const blocks = [...page.matchAll(/^```text\n([^`]+)\n```$/gm)].map(([, text]) => text as string)
  const [request, requestBase, answer, answerBase] = blocks as [string, string, string, string]
  const [, secret, key] = /secret `([^`]+)` the key in Base64 is `([^`]+)`/.exec(page) as unknown as string[]
  const keys = sourceKeysOf(secret as string)
  assert.equal(keys[0].key.toString('base64'), key)
  for (const [message, base] of [
    [request, requestBase],
    [answer, answerBase],
  ] as const) {
    const signature = createHmac('sha256', Buffer.from(key as string, 'base64'))
      .update(base)
      .digest('base64')
    assert.ok(message.includes(`\nSignature: gatehouse=:${signature}:\n`))
    const body = message.slice(message.indexOf('\n\n') + 2)
    assert.ok(message.includes(`sha-256=:${createHash('sha256').update(body).digest('base64')}:`))
  }
  const now = new Date('2026-12-01T12:00:00Z')
  const url = 'https://users.example.com/identity-source/find'
  const asked: SignedRequest = { method: 'POST', url, ...parsed(request) }
  const nonce = 'c2lnbmF0dXJlIGJhc2U_'
  assert.deepEqual(await signRequest(asked, keys, { now, nonce }), headersOf(request, 'host'))
  assert.equal((await verifyRequest(asked, keys, now)).kind, 'valid')
  assert.equal(await answerProblem({ status: 200, ...parsed(answer) }, asked, keys), null)
})

function parsed(message: string) {
  return { headers: headersOf(message), body: message.slice(message.indexOf('\n\n') + 2) }
}

function headersOf(message: string, except = ''): Record<string, string> {
  const lines = message.slice(0, message.indexOf('\n\n')).split('\n').slice(1)
  const pairs = lines.map((line) => [line.split(': ')[0]?.toLowerCase() ?? '', line.slice(line.indexOf(': ') + 2)])
  return Object.fromEntries(pairs.filter(([name]) => name !== except)) as Record<string, string>
}
