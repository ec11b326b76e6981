import { basicAuthorization, formRequest, getRequest } from '../requests.ts'
import { connectApp } from './families.ts'
import { MACHINE_CONCURRENCY, type Scenario } from './scenario.ts'

// The stock library gets opaque tokens in both: it neither introspects JWTs nor accepts them at userinfo.

/** An API introspects a token, with its token_type_hint. */
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

/** An app requests userinfo. */
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
