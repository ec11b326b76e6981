import type { ServerResponse } from 'node:http'
import { isUnavailable } from '../../domain/errors.ts'
import { TOKEN_HEADERS } from '../token-response.ts'

/** Answers a request on the fast path, with the headers that the library sends. */
export function answerPlainly(res: ServerResponse, body: object): void {
  const json = JSON.stringify(body)
  res.writeHead(200, { ...HEADERS, 'Content-Length': Buffer.byteLength(json) })
  res.end(json)
}

const HEADERS = {
  ...TOKEN_HEADERS,
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Expose-Headers': 'WWW-Authenticate',
  Vary: 'Origin',
}

/**
 * The result of this work, or null when it failed: the library meets the same failure, and reports it.
 * @throws what makes `isUnavailable` true: a second attempt would keep the app waiting twice as long
 */
export async function unlessItFails<T>(work: Promise<T | null>): Promise<T | null> {
  try {
    return await work
  } catch (error) {
    if (isUnavailable(error)) throw error
    return null
  }
}
