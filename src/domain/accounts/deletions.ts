import { insertAuditEvents } from '../../storage/audit.ts'
import { deleteDevices } from '../../storage/devices.ts'
import { findIdentity, lockIdentity, markDeleted, markKept } from '../../storage/identities.ts'
import { deleteMailLinks } from '../../storage/mail-links.ts'
import { type Queryable, transaction } from '../../storage/postgres.ts'
import { endEverythingIn } from '../endings/endings.ts'
import {
  type Lapsed,
  type Proof,
  type SignIn,
  stillCounts,
  termsOf,
  whileSignedIn,
} from '../sign-in/identity-sessions.ts'
import { keepAnAdministrator } from '../identities/administrators.ts'
import { LINK_LIVES } from '../identities/mail-links.ts'
import { ADMIN } from '../identities/roles.ts'
import { queueMail } from '../mail-jobs.ts'
import type { ClientInfo } from '../client-info.ts'
import { Refused } from '../refused.ts'
import type { Services } from '../services.ts'
import { addSeconds } from '../time.ts'

/**
 * Deletes an account, by its user: every identity session and family ends at once, and the account can be kept until it is
 * erased.
 * @returns when it will be erased; null when it was deleted before and will be erased no later
 */
export async function deleteOwnAccount(
  services: Services,
  signedIn: SignIn,
  clientInfo: ClientInfo,
): Promise<Date | null | Lapsed> {
  const { deletionGrace } = services.lifetimes
  return whileSignedIn(services, signedIn, 'fresh', (db) =>
    deleteIn(services, db, signedIn.identityId, clientInfo, deletionGrace),
  )
}

/** The same by an operator, for whom `clientInfo` is null; `grace` is how long the account can be kept (seconds). */
export async function deleteAccount(
  services: Services,
  identityId: string,
  clientInfo: ClientInfo | null,
  grace = services.lifetimes.deletionGrace,
): Promise<Date | null> {
  return transaction(services.storage.pool, (db) => deleteIn(services, db, identityId, clientInfo, grace))
}

async function deleteIn(
  services: Services,
  db: Queryable,
  identityId: string,
  clientInfo: ClientInfo | null,
  grace: number,
): Promise<Date | null> {
  const identity = await lockIdentity(db, identityId)
  const now = services.clock()
  const erasedFrom = addSeconds(now, grace)
  if (!(await markDeleted(db, identityId, erasedFrom, now))) return null
  await insertAuditEvents(
    db,
    [{ kind: 'deletion_requested', identityId, actor: services.operator, ...clientInfo }],
    now,
  )
  await endEverythingIn(services, db, identityId, { cause: 'identity_deleted', clientInfo }, now)
  await deleteMailLinks(db, identityId, Object.keys(LINK_LIVES))
  await deleteDevices(db, identityId, { except: null })
  if (grace > 0) {
    const mail = { kind: 'deletion-requested', identityId, erasedFrom: erasedFrom.toISOString(), clientInfo } as const
    await queueMail(services, mail, db)
  }
  if (identity?.roles.includes(ADMIN)) await keepAnAdministrator(db)
  return erasedFrom
}

/** Keeps a deleted account, by an operator; what ended stays ended. @throws Refused */
export async function restoreAccount(services: Services, identityId: string): Promise<void> {
  const now = services.clock()
  await transaction(services.storage.pool, async (db) => {
    const identity = await lockIdentity(db, identityId)
    if (identity === null) throw new Refused(`there is no identity ${identityId}`, 'not_found')
    if (identity.erasedFrom === null) return
    if (!(await markKept(db, identityId, { passwordMark: null, signOuts: null }, now)))
      throw new Refused(
        identity.disabledAt === null
          ? `${identity.username} is being erased`
          : `${identity.username} is disabled: enable it first`,
        'conflict',
      )
    await insertAuditEvents(db, [{ kind: 'deletion_withdrawn', identityId, actor: services.operator }], now)
  })
}

/**
 * When the deleted account of this proof will be erased. Null for one that is not deleted, can no longer be kept or is disabled,
 * and when the proof is no longer valid.
 */
export async function findErasure(services: Services, proof: Proof): Promise<Date | null> {
  const identity = await findIdentity(services.storage, proof.identityId)
  if (identity === null || identity.disabledAt !== null || identity.erasedFrom === null) return null
  if (!stillCounts(proof, identity)) return null
  return identity.erasedFrom > services.clock() ? identity.erasedFrom : null
}

/**
 * Keeps a deleted account, by a user who has proved that it is theirs; what ended stays ended. False when there is nothing to
 * keep, when an operator has disabled it, and when the proof is no longer valid.
 */
export async function keepAccount(services: Services, proof: Proof, clientInfo: ClientInfo): Promise<boolean> {
  const now = services.clock()
  const { identityId } = proof
  return transaction(services.storage.pool, async (db) => {
    if (!(await markKept(db, identityId, termsOf(proof), now))) return false
    await insertAuditEvents(db, [{ kind: 'deletion_withdrawn', identityId, ...clientInfo }], now)
    return true
  })
}
