import { insertAuditEvents } from '../storage/audit.ts'
import { findIdentityByKey, type IdentityRow, updatePasswordHash } from '../storage/identities.ts'
import { beginGuess } from './guessing.ts'
import { keyOf } from './identities.ts'
import { HasherBusy, MAXIMUM_PASSWORD_LENGTH } from './passwords.ts'
import type { Place, Portal } from './portal.ts'
import type { Suspension } from './suspensions.ts'

/** A disabled identity is answered like a wrong password: whoever asks learns nothing about who has an account. */
export type SignInOutcome =
  | { kind: 'signed-in'; identity: IdentityRow; amr: string[] }
  /** `suspension` is what this very guess brought upon its address. */
  | { kind: 'wrong-credentials'; suspension: Suspension | null }
  | { kind: 'throttled'; retryAt: Date; suspended: boolean }

/**
 * Checks a user name or address with its password. `knownDevice` is a device that has signed in to this very account before.
 * @throws HasherBusy
 */
export async function signIn(
  portal: Portal,
  login: string,
  password: string,
  place: Place,
  knownDevice: string | null = null,
): Promise<SignInOutcome> {
  if (password.length > MAXIMUM_PASSWORD_LENGTH) return { kind: 'wrong-credentials', suspension: null }
  const guess = await beginGuess(portal, { kind: 'sign-in', account: login, address: place.address, knownDevice })
  if (guess.kind === 'wait') return { kind: 'throttled', retryAt: guess.retryAt, suspended: guess.suspended }

  const identity = await findIdentityByKey(portal.storage, keyOf(login))
  // An unknown login pays for one hash too, so timing does not tell who has an account.
  const matches = await portal.hasher
    .matches(identity?.passwordHash ?? null, password)
    .catch(async (error: unknown) => {
      if (error instanceof HasherBusy) await guess.withdraw()
      throw error
    })

  const now = portal.clock()
  if (identity === null || !matches || identity.disabledAt !== null) {
    const suspension = await guess.failed()
    if (identity !== null) {
      const event = { kind: 'sign_in_refused', identityId: identity.id, ...place }
      await insertAuditEvents(portal.storage.pool, [event], now)
    }
    return { kind: 'wrong-credentials', suspension }
  }
  await guess.succeeded()
  if (portal.hasher.needsRehash(identity.passwordHash)) {
    await updatePasswordHash(portal.storage, identity.id, await portal.hasher.hash(password), now)
  }
  return { kind: 'signed-in', identity, amr: ['pwd'] }
}
