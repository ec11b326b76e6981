import { randomUUID } from 'node:crypto'
import { BATCH } from '../protocol.ts'
import type { Check } from './check.ts'
import { type Probe, Unjudged } from './probe.ts'

const ODD_LOGINS = ["' OR 1=1 --", '%', '*', '*)(uid=*', '{"$ne":""}', '<b>', 'x'.repeat(320)]

/** What a source says of users. */
export const USER_CHECKS: Check[] = [
  {
    code: 'find-known',
    operation: 'find',
    title: 'a user is found by the login',
    change: 'Answer `{"user": …}` with every member of the schema.',
    run: async (probe) => {
      const found = await probe.ask('find', { login: loginOf(probe) })
      return found.user === null ? 'the user of --login was not found' : null
    },
  },
  {
    code: 'find-unknown',
    operation: 'find',
    title: 'an unknown login is answered with null',
    change: 'Answer 200 and `{"user": null}`; compare the login as it is, not as a pattern or a part of a query.',
    run: async (probe) => {
      for (const login of [`gatehouse-check-${randomUUID()}`, ...ODD_LOGINS]) {
        const { user } = await probe.ask('find', { login })
        if (user !== null) return `${JSON.stringify(login.slice(0, 40))} found a user`
      }
      return null
    },
  },
  {
    code: 'user-known',
    operation: 'user',
    title: 'a user is found by id, as by the login',
    change: 'Answer user with the user who has the id that was asked for, with the members that find gives.',
    run: async (probe) => {
      const known = await knownUser(probe)
      const { user } = await probe.ask('user', { id: known.id })
      if (user === null) return 'the id that find gave was not found'
      return JSON.stringify(user) === JSON.stringify(known) ? null : 'user and find differ about the same user'
    },
  },
  {
    code: 'user-unknown',
    operation: 'user',
    title: 'an unknown id is answered with null',
    change: 'Answer 200 and `{"user": null}`.',
    run: async (probe) => {
      const { user } = await probe.ask('user', { id: unknownId() })
      return user === null ? null : 'an unknown id found a user'
    },
  },
  {
    code: 'password-right',
    operation: 'verify-password',
    title: 'the right password matches',
    change: 'Answer `matches`, or `expired` where it has to be replaced, with the id that was asked for.',
    run: async (probe) => {
      const { id } = await knownUser(probe)
      const answer = await probe.ask('verifyPassword', { id, password: passwordOf(probe) })
      if (answer.id !== id) return 'it was answered about another id'
      return answer.verdict === 'wrong' ? 'the password of --password-stdin is wrong' : null
    },
  },
  {
    code: 'password-wrong',
    operation: 'verify-password',
    title: 'wrong passwords do not match: empty, longer, other letters, very long',
    change: 'Compare the whole password, byte for byte, and answer `wrong`; refuse none with an error.',
    run: async (probe) => {
      const { id } = await knownUser(probe)
      const password = probe.password ?? randomUUID()
      const wrong = [
        '',
        ` ${password}`,
        `${password} `,
        swapCase(password),
        `${password}\u0301`,
        'пароль 密码 🔑',
        'x'.repeat(4096),
      ]
      for (const guess of wrong) {
        if (guess === password) continue
        const { verdict } = await probe.ask('verifyPassword', { id, password: guess })
        if (verdict !== 'wrong') return `a password of ${guess.length} characters that is not the user's was accepted`
      }
      return null
    },
  },
  {
    code: 'password-unknown',
    operation: 'verify-password',
    title: 'no password matches an unknown id',
    change: 'Answer 200 and `wrong` with the id that was asked for.',
    run: async (probe) => {
      const id = unknownId()
      const answer = await probe.ask('verifyPassword', { id, password: 'correct horse battery staple' })
      if (answer.id !== id) return 'it was answered about another id'
      return answer.verdict === 'wrong' ? null : 'a password matched an id that does not exist'
    },
  },
  {
    code: 'statuses',
    operation: 'statuses',
    title: 'statuses are answered for every id that was asked for, and no other',
    change: 'Answer one entry for each id, `gone` for those that the source does not have.',
    run: async (probe) => {
      const unknown = Array.from({ length: BATCH - 1 }, unknownId)
      const known = probe.login === null ? null : await knownUser(probe)
      const ids = known === null ? unknown : [known.id, ...unknown]
      const { statuses } = await probe.ask('statuses', { ids })
      const byId = new Map(statuses.map(({ id, status }) => [id, status]))
      if (statuses.length !== ids.length || !ids.every((id) => byId.has(id)))
        return `${ids.length} ids were asked for, and ${statuses.length} entries came, not one for each`
      if (unknown.some((id) => byId.get(id) !== 'gone')) return 'an unknown id is not `gone`'
      if (known !== null && byId.get(known.id) !== known.status) return 'statuses and find differ about the same user'
      return null
    },
  },
]

export function loginOf({ login }: Probe): string {
  if (login === null) throw new Unjudged('it needs --login')
  return login
}

function passwordOf({ password }: Probe): string {
  if (password === null) throw new Unjudged('it needs --password-stdin')
  return password
}

/** @throws Unjudged where find does not find them, which a check of its own says */
export async function knownUser(probe: Probe) {
  const { user } = await probe.ask('find', { login: loginOf(probe) })
  if (user === null) throw new Unjudged('the user of --login was not found')
  return user
}

export function unknownId(): string {
  return `gatehouse-check-${randomUUID()}`
}

function swapCase(text: string): string {
  return text.toUpperCase() === text ? text.toLowerCase() : text.toUpperCase()
}
