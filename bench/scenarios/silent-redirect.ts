import { randomBytes } from 'node:crypto'
import type { Answer } from '../connection.ts'
import type { VirtualClient } from '../load.ts'
import { clientOf, type Subject } from '../subjects/subject.ts'
import { VirtualBrowser } from '../virtual-browser.ts'
import { everydayPeople, signedInBrowser } from './families.ts'
import { BROWSER_CONCURRENCY, type Scenario } from './scenario.ts'

/** Single sign-on: signed-in browsers get a code without a page. */
export const silentRedirect: Scenario = {
  name: 'silent_redirect',
  concurrency: BROWSER_CONCURRENCY,
  hasStock: true,
  async prepare(subject, { concurrency }) {
    const challenge = randomBytes(32).toString('base64url')
    return { clients: await authorizingClients(subject, challenge, concurrency, () => true) }
  },
}

/** `onCode` gets every code, and returns whether to go on. */
export async function authorizingClients(
  subject: Subject,
  challenge: string,
  count: number,
  onCode: (code: string) => boolean,
): Promise<VirtualClient[]> {
  const people = everydayPeople(subject)
  const url = new URL(
    clientOf(subject, subject.apps[0]).authorizeUrl({
      state: null,
      nonce: null,
      code_challenge: challenge,
    }),
  )
  const path = url.pathname + url.search
  return Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const person = people[index % people.length]
      if (person === undefined) throw new Error('there is no user to sign in')
      const browser = await VirtualBrowser.copy(await signedInBrowser(subject, person), subject)
      return {
        next: () => browser.get(`${path}&state=${randomWord()}&nonce=${randomWord()}`),
        accept(answer: Answer) {
          browser.keep(answer)
          const code = answer.status === 303 ? codeIn(answer) : null
          return code !== null && onCode(code)
        },
      }
    }),
  )
}

function codeIn({ head }: Answer): string | null {
  return /\r\nlocation: https:\/\/notes\.example\.test\/callback\?(?:[^\r]*&)?code=([^&\r]+)/i.exec(head)?.[1] ?? null
}

function randomWord(): string {
  return randomBytes(16).toString('base64url')
}
