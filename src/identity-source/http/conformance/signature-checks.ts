import type { SignedRequest } from '../signatures.ts'
import { contentDigest } from '../signatures.ts'
import type { Check } from './check.ts'
import { type Probe, type Received, Unjudged, type Variation } from './probe.ts'

const FOREIGN = 'https://another.example.com/find'

/** Each sends one request that the portal would not have signed so. */
export const SIGNATURE_CHECKS: Check[] = [
  refusal('unsigned', 'an unsigned request is refused', 'Answer 401 to a request without a signature.', {
    change: (request) => without(request, 'signature', 'signature-input'),
  }),
  {
    code: 'wrong-key',
    title: 'a request that is signed with another secret is refused',
    change: 'Answer 401 where the key id is of no secret, or the signature does not match.',
    run: async (probe) => {
      const key = probe.otherKey()
      const [known] = probe.keys
      const unknown = await probe.send('capabilities', '{}', { key })
      const forged = await probe.send('capabilities', '{}', { key: { ...key, id: known.id } })
      return unless401(unknown) ?? unless401(forged)
    },
  },
  refusal(
    'uncovered',
    'a signature that leaves out the digest of the body is refused',
    'Require that the signature covers "@method", "@target-uri", "content-type" and "content-digest".',
    {
      fields: ['@method', '@target-uri', 'content-type'],
    },
  ),
  {
    code: 'altered-body',
    title: 'a body that is not the one of its digest is refused',
    change: 'Compare Content-Digest with the SHA-256 of the bytes that came, and answer 401 if it differs.',
    run: async (probe) =>
      unlessRefused(
        await probe.send('find', '{"login":"a"}', { change: (request) => ({ ...request, body: '{"login":"b"}' }) }),
        [400, 401],
      ),
  },
  refusal(
    'altered-digest',
    'a body and digest that were replaced together are refused',
    'Verify the signature over the Content-Digest that came.',
    {
      change: (request) => ({
        ...request,
        body: '{"login":"b"}',
        headers: { ...request.headers, 'content-digest': contentDigest('{"login":"b"}') },
      }),
    },
  ),
  refusal('old', 'a signature that has expired is refused', 'Answer 401 once `expires` is more than 30 seconds ago.', {
    created: -600,
    expires: -540,
  }),
  refusal(
    'long-lived',
    'a signature counts for a minute, whatever its `expires` says',
    'Answer 401 where `created` is more than 90 seconds ago.',
    {
      created: -600,
      expires: 60,
    },
  ),
  refusal(
    'future',
    'a signature from the future is refused',
    'Answer 401 where `created` is more than 30 seconds from now.',
    {
      created: 600,
      expires: 660,
    },
  ),
  {
    code: 'target',
    title: 'a signature for another operation or another service is refused',
    change:
      'Compare "@target-uri" with the base that the source has in IDENTITY_SOURCE_URL and the operation, not with a header.',
    run: async (probe) =>
      unless401(await probe.send('capabilities', '{}', { signedUrl: FOREIGN })) ??
      unless401(await probe.send('capabilities', '{}', { signedUrl: `${probe.base}/find` })),
  },
  {
    code: 'replay',
    title: 'a nonce counts once',
    change: 'Remember each nonce for two minutes, in every process, and answer 401 to a second request with it.',
    run: async (probe) => {
      const request = await probe.sign('capabilities', '{}', {})
      const first = await probe.exchange(request)
      if (first.status !== 200) throw new Unjudged('capabilities is not answered')
      return unless401(await probe.exchange(request))
    },
  },
  {
    code: 'replay-race',
    title: 'a nonce counts once, also for requests at the same time',
    change: 'Remember a nonce in one step that only one request can win, such as INSERT … ON CONFLICT DO NOTHING.',
    run: async (probe) => {
      const request = await probe.sign('capabilities', '{}', {})
      const received = await Promise.all(Array.from({ length: 8 }, async () => probe.exchange(request)))
      const accepted = received.filter(({ status }) => status === 200).length
      if (accepted === 0) throw new Unjudged('capabilities is not answered')
      // A source that remembers none is found by the check before.
      if (accepted === 8) throw new Unjudged('nonces are not remembered')
      return accepted === 1 ? null : `of 8 requests with one nonce ${accepted} were accepted`
    },
  },
]

function refusal(code: string, title: string, change: string, variation: Variation): Check {
  return {
    code,
    title,
    change,
    run: async (probe: Probe) => unless401(await probe.send('capabilities', '{}', variation)),
  }
}

function unless401(received: Received): string | null {
  return unlessRefused(received, [401])
}

/** What came instead of one of these statuses. @throws Unjudged if nothing came */
export function unlessRefused({ status, problem }: Received, statuses: number[]): string | null {
  if (problem !== null) throw new Unjudged(`the request ${problem}`)
  return statuses.includes(status) ? null : `it was answered with status ${status}`
}

function without(request: SignedRequest, ...names: string[]): SignedRequest {
  const headers = Object.entries(request.headers).filter(([name]) => !names.includes(name))
  return { ...request, headers: Object.fromEntries(headers) }
}
