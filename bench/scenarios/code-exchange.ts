import { createHash, randomBytes } from 'node:crypto'
import { runSlice, type VirtualClient } from '../load.ts'
import { basicAuthorization, formRequest } from '../requests.ts'
import { type Credentials, REDIRECT_URI } from '../subjects/subject.ts'
import { BROWSER_CONCURRENCY, MACHINE_CONCURRENCY, type Scenario } from './scenario.ts'
import { authorizingClients } from './silent-redirect.ts'

/** Far less than the life of a code (60 s). */
const COLLECTING_SECONDS = 30

/** Codes become families. A slice ends when its codes are used up. */
export const codeExchange: Scenario = {
  name: 'code_exchange',
  concurrency: MACHINE_CONCURRENCY,
  hasStock: true,
  async prepare(subject, settings) {
    const authorization = basicAuthorization(subject.apps[0] as Credentials)
    const verifier = randomBytes(32).toString('base64url')
    const challenge = createHash('sha256').update(verifier).digest('base64url')
    const rest = new URLSearchParams({
      grant_type: 'authorization_code',
      redirect_uri: REDIRECT_URI,
      code_verifier: verifier,
    })
    const codes: string[] = []
    let asked = 0
    const browsers = await authorizingClients(subject, challenge, BROWSER_CONCURRENCY, (code) => codes.push(code) > 0)
    const collectors: VirtualClient[] = browsers.map((browser) => ({
      next: () => (asked++ < settings.codes ? browser.next() : null),
      accept: (answer) => browser.accept(answer),
    }))
    const exchanger: VirtualClient = {
      next() {
        const code = codes.pop()
        return code === undefined
          ? null
          : formRequest(subject.host, '/oauth/token', `${rest}&code=${code}`, authorization)
      },
      accept: ({ status, body }) => status === 200 && body.includes('"id_token":"'),
    }

    return {
      clients: Array.from({ length: settings.concurrency }, () => exchanger),
      async refill() {
        codes.length = 0
        asked = 0
        const { firstError } = await runSlice(subject.port, collectors, COLLECTING_SECONDS)
        if (firstError !== null) throw new Error(`${subject.name} gave no code: ${firstError}`)
      },
    }
  },
}
