import { randomUUID } from 'node:crypto'
import { type Message, message } from '../../i18n/messages.ts'
import type { IdentityRow } from '../../storage/identities.ts'
import type { Confirmation } from '../audit-events.ts'
import type { ClientInfo } from '../client-info.ts'
import type { IdentitySource, SourceUser } from '../identity-source.ts'
import { findSourceUser, followSourceUser, settleSourceStatus } from '../identities/source-users.ts'
import type { RefusalReason } from '../refusals.ts'
import type { Services } from '../services.ts'

/** A password that was typed for a login, and the identity that the login names here. */
export interface TypedPassword {
  login: string
  password: string
  identity: IdentityRow | null
  /** The key of the caller in the fair queues. */
  source: string
  clientInfo: ClientInfo
  confirms: Confirmation | undefined
}

export type PasswordCheck =
  | { kind: 'matches'; identity: IdentityRow }
  | { kind: 'wrong'; identity: IdentityRow | null }
  /** The password is right, but its user cannot be let in. */
  | { kind: 'not-admitted'; identity: IdentityRow | null; problem: Message; cause: RefusalReason }

/**
 * Checks a password where the account lives: here, or in the identity source. Both cost a hash and two questions to the source, for
 * an unknown login as well, so timing does not tell who has an account, or where. No database connection is held meanwhile.
 * @throws Overloaded, SourceUnavailable
 */
export async function checkPassword(services: Services, typed: TypedPassword): Promise<PasswordCheck> {
  const { identity, password, source } = typed
  const { identitySource, sourceTurns, hasher } = services
  const hashed = hasher.matches(identity?.passwordHash ?? null, password, source)
  if (identitySource === null) return (await hashed) ? matching(identity) : { kind: 'wrong', identity }
  if (identity !== null && identity.sourceId === null) {
    // The source is told neither the login nor the password of an account that is here alone, and its answer is no matter.
    const asked = sourceTurns.run(source, async () => askInVain(identitySource)).catch(() => {})
    if (await hashed) return matching(identity)
    await asked
    return { kind: 'wrong', identity }
  }
  const [answered] = await Promise.all([sourceTurns.run(source, async () => ask(identitySource, typed)), hashed])
  return settle(services, identitySource, typed, answered)
}

function matching(identity: IdentityRow | null): PasswordCheck {
  return identity === null ? { kind: 'wrong', identity } : { kind: 'matches', identity }
}

interface Answered {
  user: SourceUser | null
  verdict: 'matches' | 'wrong' | 'expired'
}

/** An unknown login is asked the same two questions. */
async function ask(identitySource: IdentitySource, typed: TypedPassword): Promise<Answered> {
  const { login, password, identity, confirms } = typed
  // Who is signed in confirms for that very identity: the login may belong to another user by now.
  const id = confirms === undefined ? null : (identity?.sourceId ?? null)
  const user = id === null ? await identitySource.findByLogin(login) : await identitySource.findById(id)
  const isAsked = user !== null && (id === null || user.id === id)
  const verdict = await identitySource.verifyPassword(isAsked ? user.id : randomUUID(), password)
  return isAsked ? { user, verdict } : { user: null, verdict: 'wrong' }
}

async function askInVain(identitySource: IdentitySource): Promise<void> {
  await identitySource.findByLogin(randomUUID())
  await identitySource.verifyPassword(randomUUID(), randomUUID())
}

async function settle(
  services: Services,
  identitySource: IdentitySource,
  { clientInfo, identity: named }: TypedPassword,
  { user, verdict }: Answered,
): Promise<PasswordCheck> {
  // Another id is another user, whatever their login is.
  const known = user === null || user.id === named?.sourceId ? named : await findSourceUser(services, user.id)
  if (user === null || verdict === 'wrong') return { kind: 'wrong', identity: known }
  if (user.status === 'disabled') {
    await settleSourceStatus(services, user.id, 'disabled')
    const identity = await findSourceUser(services, user.id)
    return identity === null ? { kind: 'wrong', identity } : { kind: 'matches', identity }
  }
  if (verdict === 'expired') {
    const problem = message(
      identitySource.setPassword === null ? 'source.password_expired' : 'source.password_expired_reset',
    )
    return { kind: 'not-admitted', identity: known, problem, cause: 'password_expired' }
  }
  const followed = await followSourceUser(services, identitySource, user, clientInfo)
  if (followed.kind === 'followed') return { kind: 'matches', identity: followed.identity }
  return { kind: 'not-admitted', identity: known, problem: message('source.not_admitted'), cause: 'not_taken_over' }
}
