import { basicAuthorization, formRequest } from '../requests.ts'
import { DELEGATED_SCOPE, OTHER_API } from '../subjects/service.ts'
import { clientOf, type Person } from '../subjects/subject.ts'
import { signedInBrowser } from './families.ts'
import { MACHINE_CONCURRENCY, type Scenario } from './scenario.ts'

/** A service gets a token of its own. */
export const clientCredentials: Scenario = {
  name: 'client_credentials',
  concurrency: MACHINE_CONCURRENCY,
  hasStock: true,
  async prepare(subject, { concurrency }) {
    const authorization = basicAuthorization(subject.service)
    const request = formRequest(subject.host, '/oauth/token', 'grant_type=client_credentials', authorization)
    return { clients: Array.from({ length: concurrency }, () => ({ next: () => request, accept: hasToken })) }
  },
}

/** A back end exchanges the token of a user; every client has one of its own. The stock library has no such grant. */
export const tokenExchange: Scenario = {
  name: 'token_exchange',
  concurrency: MACHINE_CONCURRENCY,
  hasStock: false,
  async prepare(subject, { concurrency }) {
    const authorization = basicAuthorization(subject.service)
    const browser = await signedInBrowser(subject, subject.people[0] as Person)
    const app = clientOf(subject)
    const fields = {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      resource: OTHER_API,
    }
    const requests: string[] = []
    for (let index = 0; index < concurrency; index++) {
      const { access_token: token } = await app.connect(browser, { scope: `openid ${DELEGATED_SCOPE}` })
      const form = new URLSearchParams({ ...fields, subject_token: token })
      requests.push(formRequest(subject.host, '/oauth/token', `${form}`, authorization))
    }
    return { clients: requests.map((request) => ({ next: () => request, accept: hasToken })) }
  },
}

function hasToken({ status, body }: { status: number; body: Buffer }): boolean {
  return status === 200 && body.includes('"access_token":"')
}
