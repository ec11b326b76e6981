import { FIREFOX } from '../../src/testing/browser/browser.ts'
import { formRequest } from '../requests.ts'
import type { Scenario } from './scenario.ts'

/** As many as a small machine hashes at once; more would only wait. */
const CONCURRENCY = 4

/** Users in new browsers with the right password. */
export const signIn: Scenario = {
  name: 'sign_in',
  concurrency: CONCURRENCY,
  hasStock: false,
  async prepare(subject, { concurrency }) {
    const headers = { 'User-Agent': FIREFOX, Origin: subject.origin, 'Sec-Fetch-Site': 'same-origin' }
    const requests = subject.people.map(({ username, password }) =>
      formRequest(subject.host, '/login', `${new URLSearchParams({ login: username, password })}`, headers),
    )
    let turn = 0
    return {
      clients: Array.from({ length: concurrency }, () => ({
        next: () => requests[turn++ % requests.length] ?? null,
        accept: ({ status, head }) => status === 303 && /\r\nset-cookie: *identity=/i.test(head),
      })),
    }
  },
}
