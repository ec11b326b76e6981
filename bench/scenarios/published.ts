import { getRequest } from '../requests.ts'
import { MACHINE_CONCURRENCY, type Scenario } from './scenario.ts'

/** The published keys (JWKS). */
export const jwks = publishedAt('jwks', '/oauth/jwks', '"kid":"')

/** The metadata of OpenID Connect Discovery. */
export const discovery = publishedAt('discovery', '/.well-known/openid-configuration', '"jwks_uri":"')

function publishedAt(name: string, path: string, mark: string): Scenario {
  return {
    name,
    concurrency: MACHINE_CONCURRENCY,
    hasStock: true,
    async prepare(subject, { concurrency }) {
      const request = getRequest(subject.host, path)
      return {
        clients: Array.from({ length: concurrency }, () => ({
          next: () => request,
          accept: ({ status, body }) => status === 200 && body.includes(mark),
        })),
      }
    },
  }
}
