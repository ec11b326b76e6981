import { ANSWER_LIMIT } from '../protocol.ts'
import { answerProblem, SKEW } from '../signatures.ts'
import type { Check } from './check.ts'
import { jsonOf, Unjudged } from './probe.ts'

/** The longest that the portal waits (ms). */
const PATIENCE_MS = 2000

export const FIRST_CHECKS: Check[] = [
  {
    code: 'capabilities',
    operation: 'capabilities',
    title: 'the source answers a signed request, and says what it can do',
    change:
      'Answer capabilities with protocol, version, operations and time. On 401 compare the secret and the URL of both sides, and their clocks.',
    run: async (probe) => {
      try {
        await probe.ask('capabilities', {})
        return null
      } catch (error) {
        // Here it is the very thing that is checked.
        if (error instanceof Unjudged) return error.message
        throw error
      }
    },
  },
  {
    code: 'clock',
    title: 'its clock is that of this machine',
    change: `Set the clocks of both machines, for example by NTP: they may differ by ${SKEW} seconds.`,
    run: async (probe) => {
      const { time } = await probe.ask('capabilities', {})
      const apart = Math.round((new Date(time).getTime() - probe.clock().getTime()) / 1000)
      return Math.abs(apart) <= SKEW ? null : `it is ${Math.abs(apart)} seconds ${apart > 0 ? 'ahead' : 'behind'}`
    },
  },
]

/** What is true of every answer to a request as agreed: of all that the other checks have received. */
export const ANSWER_CHECKS: Check[] = [
  {
    code: 'answer-type',
    title: 'answers are application/json',
    change: 'Send Content-Type: application/json with every answer.',
    run: async ({ answers }) => {
      const other = judged(answers, 200).find(
        ({ headers }) => !/^application\/json *(;|$)/i.test(headers['content-type'] ?? ''),
      )
      return other === undefined ? null : `an answer has the content type ${other.headers['content-type'] ?? '(none)'}`
    },
  },
  {
    code: 'answer-signature',
    title: 'answers are signed, each for its request',
    change:
      'Sign "@status", "content-type", "content-digest" and "signature";req with the key of the request, and send Content-Digest.',
    run: async ({ answers, keys }) => {
      for (const { request, status, headers, body, isTooLong } of judged(answers, 200)) {
        // Whatever else is wrong with it has a check of its own.
        const typed = { ...headers, 'content-type': headers['content-type'] ?? '' }
        if (isTooLong || !typed['content-type'].startsWith('application/json')) continue
        const problem = await answerProblem({ status, headers: typed, body }, request, keys)
        if (problem !== null) return problem
      }
      return null
    },
  },
  {
    code: 'answer-size',
    title: `answers have at most ${ANSWER_LIMIT / 1024} kB`,
    change: `Leave out what the portal does not read: it stops at ${ANSWER_LIMIT} bytes.`,
    run: async ({ answers }) => (judged(answers).some(({ isTooLong }) => isTooLong) ? 'an answer is longer' : null),
  },
  {
    code: 'answer-time',
    title: `answers come within ${PATIENCE_MS / 1000} seconds`,
    change: 'Answer sooner: the portal gives up, and tells the user to try again.',
    run: async ({ answers }) => {
      const slowest = Math.max(...judged(answers).map(({ duration }) => duration))
      return slowest <= PATIENCE_MS ? null : `an answer took ${(slowest / 1000).toFixed(1)} seconds`
    },
  },
  {
    code: 'redirects',
    title: 'nothing is redirected',
    change: 'Answer at the URL itself: the portal follows no redirect, so that no password goes elsewhere.',
    run: async ({ answers }) =>
      judged(answers).some(({ status }) => status >= 300 && status < 400) ? 'a request was redirected' : null,
  },
  {
    code: 'secrecy',
    title: 'no answer has the password',
    change: 'Leave passwords and their hashes out of answers.',
    run: async ({ answers, password }) => {
      if (password === null) throw new Unjudged('it needs --password-stdin')
      const echoes = judged(answers).some(
        ({ body }) =>
          body.includes(password) || /"(?:password|password_?hash|hash)":/i.test(JSON.stringify(jsonOf(body) ?? '')),
      )
      return echoes ? 'an answer has a member of that name, or the password itself' : null
    },
  },
]

/** @throws Unjudged where nothing came */
function judged<T extends { status: number }>(answers: T[], status?: number): T[] {
  const found = answers.filter((each) => each.status !== 0 && (status === undefined || each.status === status))
  if (found.length === 0) throw new Unjudged('there was no answer')
  return found
}
