import { getRequest } from '../requests.ts'
import { MACHINE_CONCURRENCY, type Scenario } from './scenario.ts'

/** The published keys. */
export const jwks: Scenario = {
  name: 'jwks',
  concurrency: MACHINE_CONCURRENCY,
  hasStock: true,
  async prepare(subject, { concurrency }) {
    const request = getRequest(subject.host, '/oauth/jwks')
    return {
      clients: Array.from({ length: concurrency }, () => ({
        next: () => request,
        accept: ({ status, body }) => status === 200 && body.includes('"kid":"'),
      })),
    }
  },
}
