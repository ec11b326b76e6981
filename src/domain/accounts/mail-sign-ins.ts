import { createHash, timingSafeEqual } from 'node:crypto'
import { insertAuditEvents } from '../../storage/audit.ts'
import { findIdentity, type IdentityRow, lockIdentity } from '../../storage/identities.ts'
import { isUniqueViolation, type Queryable, transaction } from '../../storage/postgres.ts'
import { confirmSourceStatus } from '../identities/source-users.ts'
import { takeEmailIn } from '../identities/email-ownership.ts'
import { findIdentityByLogin } from '../identities/identities.ts'
import { lookAtMailLink, useMailLink } from '../identities/mail-links.ts'
import { loginKeyOf } from '../limits/login-keys.ts'
import { mayMailSignIn } from '../limits/login-throttling.ts'
import { queueMail } from '../mail-jobs.ts'
import { BY_MAIL } from '../sign-in/authentication-context.ts'
import { isKnownDevice, NO_IDENTITY } from '../sign-in/devices.ts'
import type { Proof } from '../sign-in/identity-sessions.ts'
import { hasSecondFactor } from '../sign-in/second-factors.ts'
import type { ClientInfo } from '../client-info.ts'
import { noteUncheckedRefusal } from '../refusals.ts'
import type { Services } from '../services.ts'

/** The protocol record of where a sign-in leads, by the secret of its browser. A mail may be delivered late (seconds). */
const DESTINATION_KIND = 'MailSignIn'
export const DESTINATION_LIFE = 3600

/** Someone asks for a sign-in link. */
export interface MailSignInRequest {
  /** A user name or an e-mail address, as it was typed. */
  typed: string
  /** What the cookie of this browser holds: the link works in no other. */
  browser: string
  /** Where the sign-in leads. */
  destination: string | null
  clientInfo: ClientInfo
  /** The device of the browser, known to this identity or not. */
  deviceHash: Buffer | null
}

/**
 * Queues the mail with a sign-in link for the account with this login. No account enumeration: whether there is such an account
 * changes neither the answer nor its time.
 */
export async function askForMailSignIn(services: Services, request: MailSignInRequest): Promise<void> {
  const { typed, browser, destination, clientInfo, deviceHash } = request
  const owner = await findIdentityByLogin(services, typed)
  // The mail finds its account by the key of the e-mail address. Without a key, the address belongs to another account.
  const email = owner?.emailKey ?? loginKeyOf(typed)
  const isKnown = await isKnownDevice(services, owner?.id ?? NO_IDENTITY, deviceHash)
  await services.storage.protocolRecords.put(DESTINATION_KIND, browser, { destination }, DESTINATION_LIFE)
  if (!(await mayMailSignIn(services, email, isKnown ? deviceHash : null))) return
  await queueMail(services, {
    kind: 'sign-in-link',
    email,
    browserHash: hashOf(browser).toString('base64url'),
    deviceHash: deviceHash?.toString('base64url') ?? null,
    clientInfo,
  })
}

export type MailSignInLink =
  | { kind: 'ready'; identity: IdentityRow }
  /** It would work, in the browser that asked for it. */
  | { kind: 'other-browser' }
  /** The link is used, expired, forged, incomplete or not the newest, or the account is disabled or has another address now. */
  | { kind: 'dead' }

/** What a sign-in link would do in this browser; this does not use it up. `browser` is null without a cookie. */
export async function lookAtMailSignIn(
  services: Services,
  token: string,
  browser: string | null,
): Promise<MailSignInLink> {
  const link = await lookAtMailLink(services, 'sign-in', token)
  const identity = link && (await findIdentity(services.storage, link.identityId))
  if (link === null || identity === null || !mayEnter(identity, link.email)) return { kind: 'dead' }
  return isFrom(browser, link.browserHash) ? { kind: 'ready', identity } : { kind: 'other-browser' }
}

export type MailSignInOutcome =
  { kind: 'signed-in' | 'second-factor'; proof: Proof } | Exclude<MailSignInLink, { kind: 'ready' }>

/** Uses a sign-in link up. It proves the e-mail address, too, as it reached its mailbox. */
export async function signInByMail(
  services: Services,
  token: string,
  browser: string | null,
  clientInfo: ClientInfo,
): Promise<MailSignInOutcome> {
  const found = await lookAtMailSignIn(services, token, browser)
  if (found.kind !== 'ready') {
    const link = await lookAtMailLink(services, 'sign-in', token)
    const refusal = {
      kind: 'sign_in_refused',
      identityId: link?.identityId ?? null,
      cause: 'unusable_link',
      clientInfo,
    } as const
    // A stranger can make up links, which say nothing about anyone.
    if (link !== null) await noteUncheckedRefusal(services, refusal)
    return found
  }
  const { id } = found.identity
  await confirmSourceStatus(services, id)
  const proof = await transaction(services.storage.pool, (db) => take(services, db, id, token, clientInfo)).catch(
    (error: unknown) => {
      // Another account proved the e-mail address at the same moment.
      if (isUniqueViolation(error)) return null
      throw error
    },
  )
  if (proof === null) return { kind: 'dead' }
  return { kind: (await hasSecondFactor(services, id)) ? 'second-factor' : 'signed-in', proof }
}

/** Where the sign-in that was asked for in this browser leads; null when it was not said, or is forgotten. */
export async function destinationOf(services: Services, browser: string): Promise<string | null> {
  const record = await services.storage.protocolRecords.find(DESTINATION_KIND, browser)
  return (record?.payload['destination'] as string | null | undefined) ?? null
}

async function take(
  services: Services,
  db: Queryable,
  identityId: string,
  token: string,
  clientInfo: ClientInfo,
): Promise<Proof | null> {
  const now = services.clock()
  // In this order: a transaction that makes a link locks the identity first, too, before it deletes earlier links.
  const identity = await lockIdentity(db, identityId)
  const link = await useMailLink(services, db, 'sign-in', token)
  if (identity === null || link === null || !mayEnter(identity, link.email)) return null
  if (!(await takeEmailIn(services, db, identityId, identity.email, now))) return null
  if (!identity.emailVerified)
    await insertAuditEvents(db, [{ kind: 'address_confirmed', identityId, ...clientInfo }], now)
  return { identityId, amr: [BY_MAIL], methods: ['mail-link'], signOuts: identity.signOuts }
}

/** A link proves the e-mail address it was sent to. */
function mayEnter(identity: IdentityRow, email: string): boolean {
  return identity.email === email && identity.disabledAt === null
}

function isFrom(browser: string | null, browserHash: Buffer | null): boolean {
  return browser !== null && browserHash !== null && timingSafeEqual(hashOf(browser), browserHash)
}

function hashOf(browser: string): Buffer {
  return createHash('sha256').update(browser).digest()
}
