import { basicAuthorization, formRequest } from '../requests.ts'
import type { Credentials } from '../subjects/subject.ts'
import { connectApp } from './families.ts'
import { MACHINE_CONCURRENCY, type Scenario } from './scenario.ts'

/** Every client has a family of its own and uses the refresh token that it got last. */
export const refresh: Scenario = {
  name: 'refresh',
  concurrency: MACHINE_CONCURRENCY,
  hasStock: true,
  async prepare(subject, { concurrency }) {
    const app = subject.apps[0] as Credentials
    const authorization = basicAuthorization(app)
    const families = await connectApp(subject, app, concurrency)
    return {
      clients: families.map((tokens) => {
        let token = tokens.refresh_token
        return {
          next: () =>
            formRequest(
              subject.host,
              '/oauth/token',
              `grant_type=refresh_token&refresh_token=${token}${subject.refreshExtra}`,
              authorization,
            ),
          accept({ status, body }) {
            const successor = status === 200 ? refreshTokenIn(body) : null
            if (successor === null || successor === token) return false
            token = successor
            return true
          },
        }
      }),
    }
  },
}

const MARK = '"refresh_token":"'

/** Cheaper than parsing the JSON, of which nothing else is needed. Null without one. */
export function refreshTokenIn(body: Buffer): string | null {
  const start = body.indexOf(MARK)
  if (start === -1) return null
  const end = body.indexOf('"', start + MARK.length)
  return body.toString('latin1', start + MARK.length, end)
}
