import { basicAuthorization, formRequest, getRequest } from '../requests.ts'
import { connectApp } from './families.ts'
import { MACHINE_CONCURRENCY, type Scenario } from './scenario.ts'

// Stock is asked about opaque tokens in both: it neither introspects JWTs nor takes them at userinfo.

/** An API asks whether a token still holds; it says which kind it is, as it should. */
export const introspection: Scenario = {
  name: 'introspection',
  concurrency: MACHINE_CONCURRENCY,
  hasStock: true,
  async prepare(subject, { concurrency }) {
    const app = subject.introspectedApp
    const families = await connectApp(subject, app, concurrency)
    return {
      clients: families.map((tokens) => {
        const form = `token=${tokens.access_token}&token_type_hint=access_token`
        const request = formRequest(subject.host, '/oauth/introspect', form, basicAuthorization(app))
        return { next: () => request, accept: ({ status, body }) => status === 200 && body.includes('"active":true') }
      }),
    }
  },
}

/** An app asks who the person is. */
export const userinfo: Scenario = {
  name: 'userinfo',
  concurrency: MACHINE_CONCURRENCY,
  hasStock: true,
  async prepare(subject, { concurrency }) {
    const families = await connectApp(subject, subject.introspectedApp, concurrency)
    return {
      clients: families.map((tokens) => {
        const request = getRequest(subject.host, '/oauth/userinfo', { Authorization: `Bearer ${tokens.access_token}` })
        return { next: () => request, accept: ({ status, body }) => status === 200 && body.includes('"email":"') }
      }),
    }
  },
}
