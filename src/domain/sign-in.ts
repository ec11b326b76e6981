import { insertAuditEvents } from '../storage/audit.ts'
import { findIdentityByKey, type IdentityRow, updatePasswordHash } from '../storage/identities.ts'
import { keyOf } from './identities.ts'
import { isTooLong } from './passwords.ts'
import type { Place, Portal } from './portal.ts'

/** What somebody typed, and where. */
export interface SignInAttempt {
  login: string
  password: string
  place: Place
  /** The device of the browser, whoever used it before. */
  deviceHash: Buffer | null
}

/** A disabled identity is answered like a wrong password: whoever asks learns nothing about who has an account. */
export type SignInOutcome =
  | { kind: 'signed-in'; identity: IdentityRow; amr: string[] }
  /** The password is right, and not enough. */
  | { kind: 'second-factor'; identity: IdentityRow; amr: string[] }
  | { kind: 'wrong-credentials' }

/** Checks a user name or address with its password. @throws HasherBusy */
export async function signIn(portal: Portal, { login, password, place }: SignInAttempt): Promise<SignInOutcome> {
  if (isTooLong(password)) return { kind: 'wrong-credentials' }
  const identity = await findIdentityByKey(portal.storage, keyOf(login))
  // An unknown login pays for one hash too, so timing does not tell who has an account.
  const matches = await portal.hasher.matches(identity?.passwordHash ?? null, password)

  if (identity === null) return { kind: 'wrong-credentials' }
  const now = portal.clock()
  if (!matches || identity.disabledAt !== null) {
    await insertAuditEvents(portal.storage.pool, [{ kind: 'sign_in_refused', identityId: identity.id, ...place }], now)
    return { kind: 'wrong-credentials' }
  }
  if (portal.hasher.needsRehash(identity.passwordHash)) {
    const { passwordHash: from, passwordStandsAlone: standsAlone } = identity
    const to = await portal.hasher.hash(password)
    await updatePasswordHash(portal.storage.pool, identity.id, { from, to, standsAlone }, now)
  }
  return { kind: 'signed-in', identity, amr: ['pwd'] }
}
