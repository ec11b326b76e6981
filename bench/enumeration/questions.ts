import { randomBytes } from 'node:crypto'
import { FIREFOX } from '../../src/testing/browser/browser.ts'
import { basicAuthorization, formRequest, jsonRequest } from '../requests.ts'
import { guest } from '../source/running-source.ts'
import type { Credentials, Subject } from '../subjects/subject.ts'

/** A request of a stranger about a user. */
export interface Question {
  name: string
  /** The status of both answers; another one is not timed. */
  status: number
  /** The bytes of one request, about a user with an account or without one. */
  request(whom: Whom): string
}

export type Whom = 'known' | 'unknown'

const PASSWORD = 'a password that no account here has'
/** Of those who have registered: with theirs, registering again would sign in. */
const THEIRS = 'a password that some accounts here have'

/** A stranger's first request: registers this e-mail address. */
export function registration(subject: Subject, address: string): Question {
  return { name: 'preparation', status: 303, request: () => register(subject, address, THEIRS) }
}

/** As long as the e-mail addresses of existing users. */
export function freshAddress(): string {
  return `${freshName()}@example.test`
}

/**
 * `known` are e-mail addresses with accounts, one for each request. A second request about the same one sends no more mail,
 * which takes less time, with or without an account.
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
      name: 'sign in inside an app',
      status: 403,
      request: (whom) => challenge(subject, whom === 'known' ? person().email : freshAddress()),
    },
    {
      name: 'sign in by the simple API',
      status: 401,
      request: (whom) => logIn(subject, whom === 'known' ? person().email : freshAddress()),
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

/**
 * The same of a portal with an identity source. Accounts are there, or here; those there have signed in before. The names of all are
 * as long.
 */
export function questionsWithSource(subject: Subject): Question[] {
  let turn = 0
  const there = () => guest(FIRST_GUEST + (turn++ % GUESTS))
  const here = () => (subject.people[turn++ % subject.people.length] as Subject['people'][number]).username
  const strange = () => `guest_${FIRST_GUEST + Math.floor(Math.random() * FIRST_GUEST)}`
  const signIn = (login: string) => post(subject, '/login', { login, password: PASSWORD })
  return [
    {
      name: 'sign in, account in the identity source',
      status: 401,
      request: (whom) => signIn(whom === 'known' ? there() : strange()),
    },
    {
      name: 'sign in, account here beside an identity source',
      status: 401,
      request: (whom) => signIn(whom === 'known' ? here() : strange()),
    },
    {
      name: 'sign in inside an app, account in the identity source',
      status: 403,
      request: (whom) => challenge(subject, whom === 'known' ? there() : strange()),
    },
    {
      name: 'sign in by the simple API, account in the identity source',
      status: 401,
      request: (whom) => logIn(subject, `${whom === 'known' ? there() : strange()}@example.test`),
    },
  ]
}

/** Users of the source sign in once, after which the portal knows them. */
export function guestSignIns(subject: Subject, password: string): Question[] {
  return Array.from({ length: GUESTS }, (_, number) => ({
    name: 'preparation',
    status: 303,
    request: () => post(subject, '/login', { login: guest(FIRST_GUEST + number), password }),
  }))
}

/** Users of the source who are asked about, in turns. */
const GUESTS = 20
const FIRST_GUEST = 100_000

function register(subject: Subject, email: string, password = PASSWORD): string {
  const fields = { username: freshName(), email, password, password_confirmation: password }
  return post(subject, '/register', fields)
}

/** An app asks for a direct sign-in. */
function challenge({ host, apps }: Subject, login: string): string {
  const fields = { login, password: PASSWORD, code_challenge: 'x'.repeat(43), code_challenge_method: 'S256' }
  const headers = { ...basicAuthorization(apps[0] as Credentials), 'X-Forwarded-For': anotherAddress() }
  return formRequest(host, '/oauth/authorize-challenge', `${new URLSearchParams(fields)}`, headers)
}

/** An app with its server-side form (docs/simple-api.md). */
function logIn({ host, apps }: Subject, email: string): string {
  const headers = { ...basicAuthorization(apps[0] as Credentials), 'X-Forwarded-For': anotherAddress() }
  return jsonRequest(host, '/api/auth/login', { email, password: PASSWORD }, headers)
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

/** Each request comes from a new IP address, like an attacker's. */
function anotherAddress(): string {
  return `10.${[...randomBytes(3)].join('.')}`
}
