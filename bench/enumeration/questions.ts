import { randomBytes } from 'node:crypto'
import { FIREFOX } from '../../src/testing/browser.ts'
import { formRequest } from '../requests.ts'
import type { Subject } from '../subjects/subject.ts'

/** Something a stranger can ask the portal about a person without having anything of theirs. */
export interface Question {
  name: string
  /** What the portal answers to both; anything else is not the answer that is timed. */
  status: number
  /** The bytes of one request, about a person who has an account or about one who has none. */
  request(whom: 'somebody' | 'nobody'): string
}

const PASSWORD = 'a password that nobody here uses'

export function questions({ host, origin, people }: Subject): Question[] {
  let turn = 0
  const somebody = () => people[turn++ % people.length] as Subject['people'][number]
  // As long as the names of those who are there.
  const unused = () => `nobody-${randomBytes(2).toString('hex')}${turn++}`
  const post = (path: string, fields: Record<string, string>) =>
    formRequest(host, path, `${new URLSearchParams(fields)}`, {
      'User-Agent': FIREFOX,
      Origin: origin,
      'Sec-Fetch-Site': 'same-origin',
      'X-Forwarded-For': anotherAddress(),
    })

  return [
    {
      name: 'sign in with a user name',
      status: 401,
      request: (whom) =>
        post('/login', { login: whom === 'somebody' ? somebody().username : unused(), password: PASSWORD }),
    },
    {
      name: 'sign in with an address',
      status: 401,
      request: (whom) =>
        post('/login', {
          login: whom === 'somebody' ? somebody().email : `${unused()}@example.test`,
          password: PASSWORD,
        }),
    },
    {
      name: 'forgotten password',
      status: 200,
      request: (whom) =>
        post('/forgot-password', { email: whom === 'somebody' ? somebody().email : `${unused()}@example.test` }),
    },
    {
      name: 'registration',
      status: 303,
      request: (whom) => {
        const email = whom === 'somebody' ? somebody().email : `${unused()}@example.test`
        const fields = { username: unused(), email, password: PASSWORD, password_confirmation: PASSWORD }
        return post('/register', fields)
      },
    },
  ]
}

/** Each request comes from somewhere else, as an attacker's would. */
function anotherAddress(): string {
  return `10.${[...randomBytes(3)].join('.')}`
}
