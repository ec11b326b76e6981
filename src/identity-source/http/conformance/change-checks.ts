import { randomUUID } from 'node:crypto'
import type { Check } from './check.ts'
import { type Probe, Unjudged } from './probe.ts'
import { knownUser, unknownId } from './user-checks.ts'

/** The operations that a source may have. */
export const CHANGE_CHECKS: Check[] = [
  {
    code: 'create-taken',
    operation: 'create',
    title: 'a user name or address that is taken creates no user',
    change: 'Answer `taken` where another user has the user name or the address, compared as find compares them.',
    run: async (probe) => {
      await requireOperation(probe, 'create')
      const { username, email } = await knownUser(probe)
      const other = stranger()
      for (const taken of [{ username }, { email }, { email: email.toUpperCase() }]) {
        const { result } = await probe.ask('create', { ...other, ...taken })
        if (result !== 'taken') return `with the ${Object.keys(taken)[0]} of another user it is ${result}`
      }
      return null
    },
  },
  {
    code: 'create',
    operation: 'create',
    title: 'a user is created once, and is found',
    change: 'Create a user in one step that only one of several requests can win, and answer `created` with the user.',
    run: async (probe) => {
      await requireCreation(probe)
      const { password, ...wanted } = stranger()
      const answers = await Promise.all(
        Array.from({ length: 4 }, async () => probe.ask('create', { ...wanted, password })),
      )
      const created = answers.flatMap((answer) => (answer.result === 'created' ? [answer.user] : []))
      const [user] = created
      if (user === undefined || created.length > 1) return `of 4 requests at once ${created.length} created the user`
      if (user.email.toLowerCase() !== wanted.email || user.email_verified)
        return 'the user has another address, or one that is verified already'
      const found = await probe.ask('find', { login: wanted.email })
      if (found.user?.id !== user.id) return 'the user is not found by the address'
      const { verdict } = await probe.ask('verifyPassword', { id: user.id, password })
      return verdict === 'matches' ? null : `the password is ${verdict}`
    },
  },
  {
    code: 'set-password-unknown',
    operation: 'set-password',
    title: 'no password is set for an unknown id',
    change: 'Answer 200 and `refused` with the id that was asked for.',
    run: async (probe) => {
      await requireOperation(probe, 'set-password')
      const id = unknownId()
      const answer = await probe.ask('setPassword', { id, password: stranger().password })
      if (answer.id !== id) return 'it was answered about another id'
      return answer.result === 'refused' ? null : 'the password of an id that does not exist was changed'
    },
  },
  {
    code: 'set-password',
    operation: 'set-password',
    title: 'a new password replaces the old one',
    change: 'Replace the password before answering `changed`; the old one is `wrong` from then on.',
    run: async (probe) => {
      await requireOperation(probe, 'set-password')
      await requireCreation(probe)
      const old = stranger()
      const made = await probe.ask('create', old)
      if (made.result !== 'created') throw new Unjudged('no user was created')
      const { id } = made.user
      const password = stranger().password
      const { result } = await probe.ask('setPassword', { id, password })
      if (result !== 'changed') return 'it was refused'
      const now = await probe.ask('verifyPassword', { id, password })
      const before = await probe.ask('verifyPassword', { id, password: old.password })
      return now.verdict === 'matches' && before.verdict === 'wrong' ? null : 'the old password still counts'
    },
  },
]

async function requireOperation(probe: Probe, operation: string): Promise<void> {
  const { operations } = await probe.ask('capabilities', {})
  if (!operations.includes(operation)) throw new Unjudged(`the source has no ${operation}`)
}

async function requireCreation(probe: Probe): Promise<void> {
  await requireOperation(probe, 'create')
  if (!probe.mayCreate) throw new Unjudged('it needs --create, and the users that it makes stay')
}

function stranger(): { username: string; email: string; password: string } {
  const name = `gatehouse-check-${randomUUID()}`
  return { username: name, email: `${name}@example.com`, password: `correct horse ${randomUUID()}` }
}
