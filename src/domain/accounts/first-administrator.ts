import { randomBytes } from 'node:crypto'
import { lockAdministrators } from '../../storage/administrators.ts'
import { insertAuditEvents } from '../../storage/audit.ts'
import { hasLivingHolder, updateAssignedRoles } from '../../storage/identities.ts'
import type { Queryable } from '../../storage/postgres.ts'
import type { ClientInfo } from '../client-info.ts'
import { settleEntitlements } from '../identities/entitlements.ts'
import { type IdentityRow, register, type Registration, type RegistrationOutcome } from '../identities/identities.ts'
import { makeLinkToken, readLinkToken } from '../identities/link-tokens.ts'
import { ADMIN } from '../identities/roles.ts'
import { admitNewPassword } from '../limits/login-throttling.ts'
import type { Services } from '../services.ts'
import { addSeconds, epochSeconds } from '../time.ts'

/** How long a link can be used (seconds). */
const LIFE = 86_400
const PURPOSE = 'first-administrator'

/** The bytes of the time in a link; the others are random. */
const TIME_BYTES = 6

/**
 * A link with which the first administrator registers. Nothing of it is stored but that an operator asked for it: it works until there is an administrator, for a
 * day at most. Null when there is one.
 */
export async function firstAdministratorLink(services: Services): Promise<string | null> {
  if (await hasLivingHolder(services.storage.pool, ADMIN)) return null
  const { operator } = services
  if (operator !== null) {
    const event = { kind: 'first_administrator_link_made' as const, actor: operator }
    await insertAuditEvents(services.storage.pool, [event], services.clock())
  }
  const id = randomBytes(16)
  id.writeUIntBE(epochSeconds(addSeconds(services.clock(), LIFE)), 0, TIME_BYTES)
  return `${services.publicUrl}/first-administrator/${makeLinkToken(services, PURPOSE, id)}`
}

/** Whether the first administrator can register with this link. */
export async function isFirstAdministratorLink(services: Services, token: string): Promise<boolean> {
  const id = readLinkToken(services, PURPOSE, token)
  if (id === null || id.readUIntBE(0, TIME_BYTES) <= epochSeconds(services.clock())) return false
  return !(await hasLivingHolder(services.storage.pool, ADMIN))
}

export type FirstAdministratorOutcome =
  | RegistrationOutcome
  /** Too many were tried. */
  | { kind: 'throttled'; retryAt: Date; ipBlocked: boolean }
  /** There is an administrator, or the link has expired, or is forged or incomplete. */
  | { kind: 'dead' }

/** Registers the first administrator: exactly one of those who race does, with whichever link. @throws Overloaded */
export async function registerFirstAdministrator(
  services: Services,
  token: string,
  registration: Registration,
  clientInfo: ClientInfo,
  { termsVersion }: { termsVersion: string | null },
): Promise<FirstAdministratorOutcome> {
  if (!(await isFirstAdministratorLink(services, token))) return { kind: 'dead' }
  const admission = await admitNewPassword(services, PURPOSE)
  if (admission.kind === 'wait') return { ...admission, kind: 'throttled' }
  try {
    return await register(services, registration, clientInfo, {
      termsVersion,
      entitle: (db, identity) => makeFirstAdministrator(services, db, identity, clientInfo),
    })
  } catch (error) {
    if (error instanceof NotTheFirst) return { kind: 'dead' }
    throw error
  }
}

/** There is an administrator, so this registration is undone. */
class NotTheFirst extends Error {}

async function makeFirstAdministrator(
  services: Services,
  db: Queryable,
  { id }: IdentityRow,
  clientInfo: ClientInfo,
): Promise<void> {
  await lockAdministrators(db)
  if (await hasLivingHolder(db, ADMIN)) throw new NotTheFirst()
  await updateAssignedRoles(db, id, [ADMIN])
  const now = await settleEntitlements(services, db, [id])
  await insertAuditEvents(db, [{ kind: 'roles_changed', identityId: id, detail: ADMIN, ...clientInfo }], now)
}
