import type { Check } from './check.ts'
import { type Received, Unjudged } from './probe.ts'

const WRONG = ['{}', 'null', '[]', '"x"', '{"login":null}', '{"login":["a"]}', '{"login":{"$ne":""}}', '{"login":1}']

/** Requests that are signed and wrong. */
export const REQUEST_CHECKS: Check[] = [
  {
    code: 'content-type',
    title: 'a body of another content type is refused',
    change: 'Answer 415 where Content-Type is not application/json.',
    run: async (probe) => unlessClientError(await probe.send('capabilities', '{}', { contentType: 'text/plain' })),
  },
  {
    code: 'json',
    title: 'a body that is not JSON is refused',
    change: 'Answer 400 to a body that is not JSON, not 500.',
    run: async (probe) => {
      for (const body of ['', '{', '{"login":"a"', "{'login':'a'}"]) {
        const found = unlessClientError(await probe.send('find', body))
        if (found !== null) return `${JSON.stringify(body)}: ${found}`
      }
      return null
    },
  },
  {
    code: 'input',
    title: 'a body without what an operation needs is refused',
    change: 'Check that each member is there and of its type, and answer 400 where it is not.',
    run: async (probe) => {
      for (const body of WRONG) {
        const found = unlessClientError(await probe.send('find', body))
        if (found !== null) return `${body}: ${found}`
      }
      return null
    },
  },
  {
    code: 'large',
    title: 'a body of 1 MB is refused',
    change: 'Read at most 256 kB of a body, and answer 413.',
    run: async (probe) => {
      const received = await probe.send('find', JSON.stringify({ login: 'x'.repeat(1_000_000) }))
      // A server may also hang up in the middle of it.
      return /EPIPE|ECONNRESET|UND_ERR_SOCKET/.test(received.problem ?? '') ? null : unlessClientError(received)
    },
  },
  {
    code: 'unknown-operation',
    title: 'an unknown operation is refused',
    change: 'Answer 404 to what is not an operation.',
    run: async (probe) => unlessClientError(await probe.send('gatehouse-check', '{}')),
  },
  {
    code: 'method',
    title: 'other methods are refused',
    change: 'Answer 404 or 405 to every method but POST.',
    run: async (probe) => unlessClientError(await probe.send('capabilities', '', { method: 'GET' })),
  },
]

function unlessClientError({ status, problem }: Received): string | null {
  if (problem !== null) throw new Unjudged(`the request ${problem}`)
  return status >= 400 && status < 500 ? null : `it was answered with status ${status}`
}
