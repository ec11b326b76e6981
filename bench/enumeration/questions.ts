import { randomBytes } from 'node:crypto'
import { FIREFOX } from '../../src/testing/browser/browser.ts'
import { formRequest } from '../requests.ts'
import type { Subject } from '../subjects/subject.ts'

/** Something a stranger can ask the portal about a person without having anything of theirs. */
export interface Question {
  name: string
  /** What the portal answers to both; anything else is not the answer that is timed. */
  status: number
  /** The bytes of one request, about a person who has an account or about one who has none. */
  request(whom: Whom): string
}

export type Whom = 'known' | 'unknown'

const PASSWORD = 'a password that no account here has'

/** A stranger who has not asked before: makes an account for this address. */
export function registration(subject: Subject, address: string): Question {
  return { name: 'preparation', status: 303, request: () => register(subject, address) }
}

/** As long as the addresses of those who are there. */
export function freshAddress(): string {
  return `${freshName()}@example.test`
}

/**
 * `known` are addresses that have accounts, one for each time one is asked about: who is asked about again gets no more
 * mail, which takes less time, whether or not there is an account.
 */
export function questions(subject: Subject, known: string[]): Question[] {
  const { people } = subject
  let turn = 0
  const person = () => people[turn++ % people.length] as Subject['people'][number]
  const takeTurns = () => {
    let next = 0
    return () => known[next++] as string
  }
  const signIn = (login: string) => post(subject, '/login', { login, password: PASSWORD })
  const [asked, taken] = [takeTurns(), takeTurns()]

  return [
    {
      name: 'sign in with a user name',
      status: 401,
      request: (whom) => signIn(whom === 'known' ? person().username : freshName()),
    },
    {
      name: 'sign in with an address',
      status: 401,
      request: (whom) => signIn(whom === 'known' ? person().email : freshAddress()),
    },
    {
      name: 'forgotten password',
      status: 200,
      request: (whom) => post(subject, '/forgot-password', { email: whom === 'known' ? asked() : freshAddress() }),
    },
    {
      name: 'registration',
      status: 303,
      request: (whom) => register(subject, whom === 'known' ? taken() : freshAddress()),
    },
  ]
}

function register(subject: Subject, email: string): string {
  const fields = { username: freshName(), email, password: PASSWORD, password_confirmation: PASSWORD }
  return post(subject, '/register', fields)
}

function post({ host, origin }: Subject, path: string, fields: Record<string, string>): string {
  return formRequest(host, path, `${new URLSearchParams(fields)}`, {
    'User-Agent': FIREFOX,
    Origin: origin,
    'Sec-Fetch-Site': 'same-origin',
    'X-Forwarded-For': anotherAddress(),
  })
}

function freshName(): string {
  return `person-${randomBytes(6).toString('hex')}`
}

/** Each request comes from somewhere else, as an attacker's would. */
function anotherAddress(): string {
  return `10.${[...randomBytes(3)].join('.')}`
}
