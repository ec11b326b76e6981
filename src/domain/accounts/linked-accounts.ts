// Account linking: accounts at other providers with which an identity signs in.

import { randomUUID } from 'node:crypto'
import { insertAuditEvents } from '../../storage/audit.ts'
import { findIdentity, type IdentityRow, lockIdentity } from '../../storage/identities.ts'
import {
  deleteLinkedAccount,
  findLinkedAccount,
  insertLinkedAccount,
  type LinkedAccountRow,
  type ListedLinkedAccountRow,
  listLinkedAccounts as listRows,
} from '../../storage/linked-accounts.ts'
import { listPasskeys } from '../../storage/passkeys.ts'
import type { Queryable } from '../../storage/postgres.ts'
import { listUpstreamSessions } from '../../storage/upstream-sessions.ts'
import type { ClientInfo } from '../client-info.ts'
import { endIn } from '../endings/endings.ts'
import { encrypt } from '../keys/encryption.ts'
import { type IdentityProvider, identityProvidersOffered } from '../identity-providers/identity-providers.ts'
import { queueMail } from '../mail-jobs.ts'
import type { Services } from '../services.ts'
import { type Lapsed, passwordMarkOf, type SignIn, whileSignedIn } from '../sign-in/identity-sessions.ts'

export type { LinkedAccountRow, ListedLinkedAccountRow }

/** Accounts at other providers that one identity may have. */
const MOST_ACCOUNTS = 20

/** An account at another provider, as its provider has just said. */
export interface ProvenAccount {
  providerId: string
  /** The name of the provider. */
  provider: string
  subject: string
  email: string | null
  /** What the token endpoint answered, where the provider is set up to keep it; else null. */
  tokens: string | null
}

export type LinkOutcome =
  | { kind: 'linked' }
  /** With this identity, already. */
  | { kind: 'linked-before' }
  | { kind: 'linked-elsewhere' }
  | { kind: 'too-many' }

export async function listLinkedAccounts(services: Services, identityId: string): Promise<ListedLinkedAccountRow[]> {
  return listRows(services.storage.pool, identityId)
}

/** Links an account at another provider with the identity of a signed-in user, who has proved both. The user is told by mail. */
export async function linkAccount(
  services: Services,
  signedIn: SignIn,
  account: ProvenAccount,
  clientInfo: ClientInfo,
): Promise<LinkOutcome | Lapsed> {
  return whileSignedIn<LinkOutcome>(services, signedIn, 'fresh', async (db) => {
    const { identityId } = signedIn
    const known = await findLinkedAccount(db, account.providerId, account.subject)
    if (known !== null) return { kind: known.identityId === identityId ? 'linked-before' : 'linked-elsewhere' }
    if ((await listRows(db, identityId)).length >= MOST_ACCOUNTS) return { kind: 'too-many' }
    if (!(await linkIn(services, db, identityId, account, null))) return { kind: 'linked-elsewhere' }
    await tellIn(services, db, 'account-linked', identityId, account, clientInfo)
    return { kind: 'linked' }
  })
}

/**
 * Inserts the link. @param firstPasswordMark of an identity that is created for the account, without a password
 * @returns false when another identity has the account
 */
export async function linkIn(
  services: Services,
  db: Queryable,
  identityId: string,
  { providerId, subject, email, tokens }: ProvenAccount,
  firstPasswordMark: string | null,
): Promise<boolean> {
  const id = randomUUID()
  const encryptedTokens = tokens === null ? null : encryptTokens(services, id, tokens)
  const createdAt = services.clock()
  const account = { id, identityId, providerId, subject, email, firstPasswordMark, encryptedTokens, createdAt }
  return insertLinkedAccount(db, account)
}

/** What is kept of a provider's tokens, under the root secret. */
export function encryptTokens({ secrets }: Services, accountId: string, tokens: string): string {
  return encrypt(tokens, accountId, secrets[0].upstreamTokenEncryption)
}

export type Unlinked =
  | { kind: 'unlinked'; provider: string }
  | { kind: 'unknown' }
  /** There is no password, no passkey and no other account: the user could not sign in any more. */
  | { kind: 'only-way-in' }

/** Unlinks an account, and ends the sign-ins in other browsers that were made with it. The user is told by mail. */
export async function unlinkAccount(
  services: Services,
  signedIn: SignIn,
  id: string,
  clientInfo: ClientInfo,
): Promise<Unlinked | Lapsed> {
  return whileSignedIn<Unlinked>(services, signedIn, 'fresh', async (db) => {
    const { identityId } = signedIn
    const identity = await lockIdentity(db, identityId)
    const accounts = await listRows(db, identityId)
    const account = accounts.find((each) => each.id === id)
    if (identity === null || account === undefined) return { kind: 'unknown' }
    if (!(await hasOtherWayIn(db, identity, accounts, account))) return { kind: 'only-way-in' }
    await deleteLinkedAccount(db, identityId, id)
    const now = services.clock()
    const { providerId, subject, providerName: provider, email } = account
    for (const session of await listUpstreamSessions(db, providerId, { subject, sid: null })) {
      if (session.identityId !== identityId || session.id === signedIn.id) continue
      const choice = { sessions: { identityId, id: session.id }, families: 'following' } as const
      await endIn(services, db, choice, { cause: 'ended_by_person', clientInfo }, now)
    }
    await tellIn(services, db, 'account-unlinked', identityId, { provider, email }, clientInfo)
    return { kind: 'unlinked', provider }
  })
}

/** The linked providers that can be asked to let the user prove anew who they are. GitHub cannot: it has no such request. */
export async function providersThatProve(services: Services, identityId: string): Promise<IdentityProvider[]> {
  const accounts = await listLinkedAccounts(services, identityId)
  const offered = accounts.length === 0 ? [] : await identityProvidersOffered(services)
  return offered.filter(({ id, kind }) => kind === 'oidc' && accounts.some(({ providerId }) => providerId === id))
}

/**
 * Whether an identity has a password that its user knows. One that was created for an account at a provider has none, until a password
 * reset gives it one.
 */
export async function hasPassword(services: Services, identityId: string): Promise<boolean> {
  const identity = await findIdentity(services.storage, identityId)
  return identity !== null && isPasswordKnown(identity, await listLinkedAccounts(services, identityId))
}

function isPasswordKnown({ passwordHash }: IdentityRow, accounts: LinkedAccountRow[]): boolean {
  const mark = passwordMarkOf(passwordHash)
  return accounts.every(({ firstPasswordMark }) => firstPasswordMark !== mark)
}

async function hasOtherWayIn(
  db: Queryable,
  identity: IdentityRow,
  accounts: ListedLinkedAccountRow[],
  account: LinkedAccountRow,
): Promise<boolean> {
  if (isPasswordKnown(identity, accounts)) return true
  if (accounts.some(({ id, isOffered }) => id !== account.id && isOffered)) return true
  return (await listPasskeys(db, identity.id)).some(({ discoverable }) => discoverable ?? true)
}

/** Tells the user, on the activity page and by mail. */
async function tellIn(
  services: Services,
  db: Queryable,
  kind: 'account-linked' | 'account-unlinked',
  identityId: string,
  { provider, email }: Pick<ProvenAccount, 'provider' | 'email'>,
  clientInfo: ClientInfo,
): Promise<void> {
  const now = services.clock()
  const event = { kind: EVENTS[kind], identityId, detail: provider, ...clientInfo }
  await insertAuditEvents(db, [event], now)
  await queueMail(services, { kind, identityId, provider, email, clientInfo, at: now.toISOString() }, db)
}

const EVENTS = { 'account-linked': 'account_linked', 'account-unlinked': 'account_unlinked' } as const
