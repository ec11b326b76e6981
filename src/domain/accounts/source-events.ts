import { insertAuditEvents } from '../../storage/audit.ts'
import { lockIdentity, updatePasswordHash } from '../../storage/identities.ts'
import { deleteMailLinks } from '../../storage/mail-links.ts'
import { transaction } from '../../storage/postgres.ts'
import { endEverythingIn } from '../endings/endings.ts'
import type { IdentitySource, SourceRequest } from '../identity-source.ts'
import { LINK_LIVES } from '../identities/mail-links.ts'
import { findSourceUser, rereadSourceUser, settleSourceStatus } from '../identities/source-users.ts'
import type { Services } from '../services.ts'
import { secondsUntil } from '../time.ts'

/** What the source says has happened to one of its users. Only what happened is believed; what is so now, the source is asked. */
export const SOURCE_EVENTS = ['disabled', 'enabled', 'changed', 'password_changed', 'deleted'] as const

export interface SourceEvent {
  id: string
  type: (typeof SOURCE_EVENTS)[number]
}

/**
 * Whether a request comes from the source, and has not come before. Only a signed one is remembered, so strangers store nothing.
 * @returns why it is refused; null for one to act on
 */
export async function admitSourceRequest(services: Services, request: SourceRequest): Promise<string | null> {
  const { identitySource, storage, clock } = services
  const proof = await identitySource?.verifyRequest?.(request)
  if (proof === undefined) return 'this portal has no identity source that signs requests'
  if (proof.kind === 'refused') return proof.reason
  const seconds = Math.max(1, secondsUntil(proof.until, clock()))
  return (await storage.protocolRecords.putOnce(NONCE, proof.nonce, {}, seconds)) ? null : 'its nonce was used before'
}

const NONCE = 'SourceNonce'

/**
 * Acts on events of the source at once. Nothing but the id is taken from them: the source is asked what is so now, except where an
 * event takes something away, which needs no answer. An id without an identity here is no error. @throws SourceUnavailable
 */
export async function actOnSourceEvents(services: Services, events: readonly SourceEvent[]): Promise<void> {
  const { identitySource } = services
  if (identitySource === null) return
  // Those of one user in their order, and a few users at a time.
  const users = [...Map.groupBy(events, ({ id }) => id).values()]
  const takeTurns = async () => {
    for (let own = users.shift(); own !== undefined; own = users.shift())
      for (const event of own) await actOn(services, identitySource, event)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, takeTurns))
}

const AT_ONCE = 4

async function actOn(services: Services, identitySource: IdentitySource, { id, type }: SourceEvent): Promise<void> {
  if ((await findSourceUser(services, id)) === null) return
  switch (type) {
    case 'disabled':
      return settleSourceStatus(services, id, 'disabled')
    case 'deleted':
      return settleSourceStatus(services, id, 'gone')
    case 'password_changed':
      return endAfterPasswordChange(services, id)
    case 'enabled':
    case 'changed':
      return rereadSourceUser(services, identitySource, id)
  }
}

/** As after a change of the password here: what the old one has opened ends. */
async function endAfterPasswordChange(services: Services, sourceId: string): Promise<void> {
  const identity = await findSourceUser(services, sourceId)
  if (identity === null) return
  const { id: identityId } = identity
  await transaction(services.storage.pool, async (db) => {
    const row = await lockIdentity(db, identityId)
    if (row === null) return
    const now = services.clock()
    // No password matches either hash, but a sign-in that is half done was begun with the mark of the old one.
    const to = services.hasher.unusable()
    await updatePasswordHash(db, identityId, { from: row.passwordHash, to, standsAlone: true }, now)
    await deleteMailLinks(db, identityId, Object.keys(LINK_LIVES))
    await insertAuditEvents(db, [{ kind: 'password_changed', identityId, detail: 'identity source' }], now)
    await endEverythingIn(services, db, identityId, { cause: 'password_changed', clientInfo: null }, now)
  })
}
