import type { CustomFetch } from 'openid-client'
import { UpstreamFailure } from '../domain/upstream.ts'

/** For one request, from the DNS lookup to the last byte of the answer. */
export const TIMEOUT_MS = 5000
/** The longest answer (bytes): key sets and metadata are the long ones. */
const LONGEST_ANSWER = 256 * 1024

/**
 * Fetches from a provider, with limits of time and size, and follows no redirect. @throws UpstreamFailure `unavailable` when it
 * does not answer or asks to come back later, `invalid` when it answers too much
 */
export const boundedFetch: CustomFetch = async (url, { signal, ...options }) => {
  const limit = AbortSignal.timeout(TIMEOUT_MS)
  try {
    const response = await fetch(url, {
      ...options,
      redirect: 'manual',
      signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
    })
    if (response.status >= 500 || response.status === 429) {
      await response.body?.cancel()
      throw new UpstreamFailure('unavailable', `the provider answered ${response.status}`)
    }
    const body = await readBounded(response)
    return new Response(body.length === 0 ? null : body, { status: response.status, headers: headersOf(response) })
  } catch (error) {
    if (error instanceof UpstreamFailure) throw error
    throw new UpstreamFailure('unavailable', 'the provider does not answer', { cause: error })
  }
}

async function readBounded({ body }: Response): Promise<Buffer<ArrayBuffer>> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of body ?? []) {
    length += chunk.length
    // Leaving the loop cancels the answer. What was compressed is measured unpacked.
    if (length > LONGEST_ANSWER)
      throw new UpstreamFailure('invalid', `the answer is longer than ${LONGEST_ANSWER} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** The headers but for those of the encoding, which is undone. */
function headersOf({ headers }: Response): Headers {
  const kept = new Headers(headers)
  kept.delete('content-encoding')
  kept.delete('content-length')
  return kept
}
