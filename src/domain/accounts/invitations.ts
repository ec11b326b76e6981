import { randomUUID } from 'node:crypto'
import { insertAuditEvents } from '../../storage/audit.ts'
import { holdGroups, insertMembers, listGroupsById } from '../../storage/groups.ts'
import { findIdentityByKey } from '../../storage/identities.ts'
import {
  deleteExpiredInvitation,
  deleteInvitation,
  findInvitation as findRow,
  findInvitationByEmail,
  insertInvitation,
  type InvitationRow,
  listInvitations as listRows,
  lockInvitation,
  takeInvitation,
  updateInvitation,
} from '../../storage/invitations.ts'
import { isUniqueViolation, type Queryable, transaction } from '../../storage/postgres.ts'
import type { ClientInfo } from '../client-info.ts'
import { canonicalEmail, emailProblem } from '../identities/emails.ts'
import { refuseNarrowOperator } from '../identities/administrators.ts'
import { settleEntitlements, writeGroupsChanged } from '../identities/entitlements.ts'
import { type IdentityRow, register, type Registration, type RegistrationOutcome } from '../identities/identities.ts'
import { makeLinkToken, readLinkToken } from '../identities/link-tokens.ts'
import { readRoles } from '../identities/roles.ts'
import { admitNewPassword } from '../limits/login-throttling.ts'
import { loginKeyOf } from '../limits/login-keys.ts'
import { queueMail } from '../mail-jobs.ts'
import { Refused } from '../refused.ts'
import type { Services } from '../services.ts'
import { addSeconds } from '../time.ts'
import { bytesOfUuid, isUuid, uuidOf } from '../uuid.ts'
import { takeEmailIn } from '../identities/email-ownership.ts'

export type { InvitationRow }

/** How long an invitation can be used (seconds). */
export const INVITATION_LIFE = 7 * 86_400

const PURPOSE = 'invitation'

/** Whether an invitation can be used. */
export function takesInvitations({ policy }: Services): boolean {
  return policy.registration !== 'closed'
}

/** The invitation with this id, or of this e-mail address; also one that has expired. Null when there is none. */
export async function findInvitation({ storage }: Services, idOrEmail: string): Promise<InvitationRow | null> {
  if (isUuid(idOrEmail)) return findRow(storage, idOrEmail)
  return findInvitationByEmail(storage, loginKeyOf(canonicalEmail(idOrEmail)))
}

/** Invitations whose addresses begin with `prefix`, by address, `limit` at most; `after` is the key of the last one before. */
export async function listInvitations(
  { storage }: Services,
  { prefix = '', after = null, limit }: { prefix?: string; after?: string | null; limit: number },
): Promise<InvitationRow[]> {
  return listRows(storage, { prefix: loginKeyOf(prefix), after, limit })
}

/** The link of an invitation. Its owner registers with it, and has proved the e-mail address. */
export function invitationLink(services: Services, { id }: Pick<InvitationRow, 'id'>): string {
  return `${services.publicUrl}/invitation/${makeLinkToken(services, PURPOSE, bytesOfUuid(id))}`
}

/**
 * Invites an e-mail address: its owner gets a link by mail to choose a user name and a password, and has these roles and groups
 * from then on. @throws Refused
 */
export async function invite(
  services: Services,
  { email: typed, roles, groupIds }: { email: string; roles: string[]; groupIds: string[] },
): Promise<InvitationRow> {
  requireInvitations(services)
  const email = canonicalEmail(typed)
  if (emailProblem(email) !== null) throw new Refused('email: is no e-mail address like name@example.com')
  const assigned = readRoles(roles)
  const groups = await listGroupsById(services.storage.pool, groupIds)
  refuseNarrowOperator(services, [...assigned, ...groups.flatMap((group) => group.roles)])
  const key = loginKeyOf(email)
  await requireNoAccount(services, key, assigned)
  const now = services.clock()
  const invitation = {
    id: randomUUID(),
    email,
    emailKey: key,
    roles: assigned,
    groupIds: [...new Set(groupIds)],
    invitedBy: services.operator?.name ?? null,
    createdAt: now,
    sentAt: now,
    expiresAt: addSeconds(now, INVITATION_LIFE),
    sentCount: 1,
  }
  await transaction(services.storage.pool, async (db) => {
    await deleteExpiredInvitation(db, key, now)
    await insertInvitation(db, invitation)
    await writeDown(services, db, 'invitation_created', invitation)
    await queueMail(services, { kind: 'invitation', invitationId: invitation.id }, db)
  }).catch((error: unknown) => {
    if (isUniqueViolation(error))
      throw new Refused(`${email} has an invitation already: resend or revoke that one`, 'conflict')
    throw error
  })
  return invitation
}

/** Sends the link of an invitation once more, and lets it be used as long as a new one. @throws Refused */
export async function resendInvitation(services: Services, id: string): Promise<InvitationRow> {
  requireInvitations(services)
  const before = await findRow(services.storage, id)
  if (before === null) throw noInvitation(id)
  await requireNoAccount(services, before.emailKey, before.roles)
  return transaction(services.storage.pool, async (db) => {
    const invitation = await lockInvitation(db, id)
    if (invitation === null) throw noInvitation(id)
    const now = services.clock()
    const sent = await updateInvitation(db, id, {
      sentAt: now,
      expiresAt: addSeconds(now, INVITATION_LIFE),
      sentCount: invitation.sentCount + 1,
    })
    await writeDown(services, db, 'invitation_resent', invitation)
    await queueMail(services, { kind: 'invitation', invitationId: id }, db)
    return sent as InvitationRow
  })
}

/** Takes an invitation back: its link works no more. @throws Refused */
export async function revokeInvitation(services: Services, id: string): Promise<void> {
  await transaction(services.storage.pool, async (db) => {
    const invitation = await deleteInvitation(db, id)
    if (invitation === null) throw noInvitation(id)
    await writeDown(services, db, 'invitation_revoked', invitation)
  })
}

/** The open invitation of a link; this does not use it up. Null for a dead link. */
export async function lookAtInvitation(services: Services, token: string): Promise<InvitationRow | null> {
  if (!takesInvitations(services)) return null
  const id = readLinkToken(services, PURPOSE, token)
  const invitation = id && (await findRow(services.storage, uuidOf(id)))
  return invitation && invitation.expiresAt > services.clock() ? invitation : null
}

/** Whether the invited address belongs to an account by now, which has proved it. */
export async function isAddressTaken({ storage }: Services, { emailKey }: InvitationRow): Promise<boolean> {
  return (await findIdentityByKey(storage, emailKey))?.emailVerified ?? false
}

export type AcceptanceOutcome =
  | RegistrationOutcome
  /** Too many passwords were tried with this link. */
  | { kind: 'throttled'; retryAt: Date; ipBlocked: boolean }
  /** The link is used, expired, revoked, forged or incomplete. */
  | { kind: 'dead' }
  /** Another account has proved the address. */
  | { kind: 'taken' }

/**
 * Registers with an invitation: exactly one of those who race with its link does. The address is confirmed, and an account that
 * only claimed it loses it. @throws Overloaded
 */
export async function acceptInvitation(
  services: Services,
  token: string,
  { username, password }: Omit<Registration, 'email'>,
  clientInfo: ClientInfo,
  { termsVersion }: { termsVersion: string | null },
): Promise<AcceptanceOutcome> {
  const invitation = await lookAtInvitation(services, token)
  if (invitation === null) return { kind: 'dead' }
  const admission = await admitNewPassword(services, invitation.id)
  if (admission.kind === 'wait') return { ...admission, kind: 'throttled' }
  if (await isAddressTaken(services, invitation)) return { kind: 'taken' }
  const { email, roles } = invitation
  try {
    return await register(services, { username, email, password }, clientInfo, {
      roles,
      termsVersion,
      asksForProof: false,
      entitle: (db, identity) => useInvitation(services, db, invitation.id, identity, clientInfo),
    })
  } catch (error) {
    if (error instanceof Failed) return { kind: error.kind }
    throw error
  }
}

/** Why a registration by invitation is undone. */
class Failed extends Error {
  readonly kind: 'dead' | 'taken'

  constructor(kind: 'dead' | 'taken') {
    super(`the invitation is ${kind}`)
    this.kind = kind
  }
}

async function useInvitation(
  services: Services,
  db: Queryable,
  invitationId: string,
  { id: identityId }: IdentityRow,
  clientInfo: ClientInfo,
): Promise<void> {
  const now = services.clock()
  const invitation = await takeInvitation(db, invitationId, now)
  if (invitation === null) throw new Failed('dead')
  if (!(await takeEmailIn(services, db, identityId, invitation.email, now))) throw new Failed('taken')
  await insertAuditEvents(db, [{ kind: 'address_confirmed', identityId, ...clientInfo }], now)
  // A group may have been deleted since the invitation.
  const groupIds = await holdGroups(db, invitation.groupIds)
  if (groupIds.length === 0) return
  for (const groupId of groupIds) await insertMembers(db, groupId, [identityId], now)
  await settleEntitlements(services, db, [identityId])
  const names = (await listGroupsById(db, groupIds)).map(({ name }) => `+${name}`)
  await writeGroupsChanged(services, db, [identityId], names.join(', '), now)
}

/** @throws Refused */
function requireInvitations(services: Services): void {
  if (!takesInvitations(services))
    throw new Refused(
      'REGISTRATION is closed, so an invitation could not be used: create the account instead',
      'conflict',
    )
}

/** @throws Refused when the address belongs to an account, which has proved it */
async function requireNoAccount({ storage }: Services, emailKey: string, roles: string[]): Promise<void> {
  const holder = await findIdentityByKey(storage, emailKey)
  if (!holder?.emailVerified) return
  const all = [...new Set([...holder.assignedRoles, ...roles])].join(' ')
  const advice = roles.length === 0 ? '' : `: gatehouse user set-roles ${holder.username} ${all}`
  throw new Refused(`${holder.email} has an account already, ${holder.username}${advice}`, 'conflict')
}

function noInvitation(id: string): Refused {
  return new Refused(`there is no invitation ${id}`, 'not_found')
}

async function writeDown(
  { operator: actor, clock }: Services,
  db: Queryable,
  kind: 'invitation_created' | 'invitation_resent' | 'invitation_revoked',
  { email, roles }: InvitationRow,
): Promise<void> {
  const detail = roles.length === 0 ? email : `${email}: ${roles.join(', ')}`
  await insertAuditEvents(db, [{ kind, detail, actor }], clock())
}
