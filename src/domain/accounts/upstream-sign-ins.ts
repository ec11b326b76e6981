import { randomBytes } from 'node:crypto'
import { findIdentity, type IdentityRow, updateProfile } from '../../storage/identities.ts'
import { findLinkedAccount, type LinkedAccountRow, updateLinkedAccount } from '../../storage/linked-accounts.ts'
import { derivedUserNames } from '../identities/derived-user-names.ts'
import { canonicalEmail, emailProblem } from '../identities/emails.ts'
import { findIdentityByLogin, registerWithoutPassword } from '../identities/identities.ts'
import { domainProblem, isRegistrationOpen, registrationPlace } from '../identities/open-registration.ts'
import { type IdentityProvider, isProviderDomain } from '../identity-providers/identity-providers.ts'
import { confirmSourceStatus } from '../identities/source-users.ts'
import { loginKeyOf } from '../limits/login-keys.ts'
import { userNameProblem } from '../identities/user-names.ts'
import { FEDERATED } from '../sign-in/authentication-context.ts'
import { type Lapsed, passwordMarkOf, type Proof, type SignIn } from '../sign-in/identity-sessions.ts'
import { hasSecondFactor } from '../sign-in/second-factors.ts'
import { countSignIn } from '../sign-in/sign-in-counts.ts'
import { isTrustedBrowser } from '../sign-in/trusted-browsers.ts'
import type { ClientInfo } from '../client-info.ts'
import { noteUncheckedRefusal } from '../refusals.ts'
import type { Services } from '../services.ts'
import type { UpstreamUser } from '../upstream.ts'
import { encryptTokens, linkAccount, linkIn, type LinkOutcome, type ProvenAccount } from './linked-accounts.ts'
import { examineProfile, profileRowOf } from '../identities/profiles.ts'

/** A user has come back from a provider. */
export interface Arrival {
  provider: IdentityProvider
  user: UpstreamUser
  /** When they left for it. */
  since: Date
  /** Where the sign-in leads. */
  destination: string | null
  clientInfo: ClientInfo
  /** The device of the browser, known to this identity or not. */
  deviceHash: Buffer | null
}

export type ArrivalOutcome =
  | { kind: 'signed-in' | 'second-factor'; proof: Proof }
  /** An account was created. */
  | { kind: 'registered'; identity: IdentityRow; proof: Proof }
  /** The account is disabled, and a stranger must not learn that. */
  | { kind: 'refused' }
  /** No identity is linked with the account, and none was created. The secret is what a sign-in can link it with. */
  | { kind: 'unlinked'; secret: string }

/** `known-address`: an identity here has the e-mail address. */
export type Unlinked = 'known-address' | 'closed' | 'invited' | 'never' | 'unverified' | 'other-domain'

/**
 * Signs in with an account at another provider, or creates an identity for it. What the provider says of an e-mail address links
 * nothing: an identity with that address belongs to the user who can sign in to it. @throws SourceUnavailable
 */
export async function arrive(services: Services, arrival: Arrival): Promise<ArrivalOutcome> {
  const { provider, user } = arrival
  // Another browser may link or register the same account in between.
  for (let attempts = 0; attempts < 2; attempts++) {
    const linked = await findLinkedAccount(services.storage.pool, provider.id, user.subject)
    if (linked !== null) return enter(services, arrival, linked)
    const why = await reasonNotToRegister(services, provider, user)
    if (why !== null) return { kind: 'unlinked', secret: await keepArrival(services, arrival, why) }
    const identity = await registerArrival(services, arrival)
    if (identity !== null) return { kind: 'registered', identity, proof: proofOfArrival(arrival, identity) }
  }
  return { kind: 'unlinked', secret: await keepArrival(services, arrival, 'known-address') }
}

async function enter(services: Services, arrival: Arrival, linked: LinkedAccountRow): Promise<ArrivalOutcome> {
  const { provider, user, clientInfo, deviceHash } = arrival
  await confirmSourceStatus(services, linked.identityId)
  const identity = await findIdentity(services.storage, linked.identityId)
  if (identity === null || identity.disabledAt !== null) {
    countSignIn(services, 'refused', ['provider'])
    const identityId = identity?.id ?? null
    await noteUncheckedRefusal(services, { kind: 'sign_in_refused', identityId, cause: 'disabled', clientInfo })
    return { kind: 'refused' }
  }
  const encryptedTokens = provider.keepsTokens ? encryptTokens(services, linked.id, user.tokens) : null
  await updateLinkedAccount(services.storage.pool, linked.id, { email: user.email, encryptedTokens })
  const proof = proofOfArrival(arrival, identity)
  if (!(await hasSecondFactor(services, identity.id))) return { kind: 'signed-in', proof }
  if (await isTrustedBrowser(services, identity, deviceHash))
    return { kind: 'signed-in', proof: { ...proof, browserTrust: 'used' } }
  return { kind: 'second-factor', proof }
}

function proofOfArrival(arrival: Arrival, { id, signOuts }: IdentityRow): Proof {
  const { provider, user } = arrival
  return {
    identityId: id,
    amr: [FEDERATED],
    methods: ['provider'],
    signOuts,
    upstream: {
      providerId: provider.id,
      provider: provider.name,
      subject: user.subject,
      sid: user.sid,
      isProven: hasProvedAnew(arrival),
    },
  }
}

/** The clocks of two machines differ by this much (seconds). */
const TOLERANCE = 60

/** Whether the user has proved at the provider who they are, after they left for it: a single sign-on there asks nothing. */
function hasProvedAnew({ user, since }: Pick<Arrival, 'user' | 'since'>): boolean {
  return user.provedAt !== null && user.provedAt.getTime() >= since.getTime() - TOLERANCE * 1000
}

/**
 * Null when an identity may be created. Of an address that the provider has not verified nothing is looked up, or strangers could
 * learn who has an account (account enumeration).
 */
async function reasonNotToRegister(
  services: Services,
  provider: IdentityProvider,
  user: UpstreamUser,
): Promise<Unlinked | null> {
  const email = verifiedEmailOf(user)
  if (email !== null && (await findIdentityByLogin(services, email)) !== null) return 'known-address'
  if (provider.registration === 'never') return 'never'
  if (!isRegistrationOpen(services)) return services.policy.registration === 'invited' ? 'invited' : 'closed'
  // An account that is made here would come before one of the source with this address.
  if (registrationPlace(services) !== 'here') return 'closed'
  if (email === null) return 'unverified'
  if (provider.domains.length > 0 && !isProviderDomain(provider, email)) return 'other-domain'
  return (await domainProblem(services, email)) === null ? null : 'other-domain'
}

function verifiedEmailOf({ email, emailVerified }: UpstreamUser): string | null {
  const canonical = email === null || !emailVerified ? '' : canonicalEmail(email)
  return emailProblem(canonical) === null ? canonical : null
}

/** Null when its e-mail address, or its account at the provider, was taken in the meantime. */
async function registerArrival(services: Services, arrival: Arrival): Promise<IdentityRow | null> {
  const { user, clientInfo } = arrival
  const email = verifiedEmailOf(user)
  if (email === null) return null
  const account = accountOf(arrival)
  const usernames = userNamesFor(user, email)
  return registerWithoutPassword(services, { usernames, email }, clientInfo, async (db, { id, passwordHash }) => {
    if (!(await linkIn(services, db, id, account, passwordMarkOf(passwordHash)))) return false
    const said = { name: user.name ?? '', given_name: user.givenName ?? '', family_name: user.familyName ?? '' }
    const { cleaned, problems } = examineProfile(said)
    if (Object.keys(problems).length === 0) await updateProfile(db, id, profileRowOf(cleaned), services.clock())
    return true
  })
}

/** In the order in which they are tried: what the account is called there, and what its address suggests. */
function userNamesFor({ username }: UpstreamUser, email: string): string[] {
  const derived = derivedUserNames(email)
  const random = `${derived[1]}${randomBytes(3).toString('hex')}`
  const isUsable = username !== null && !username.includes('@') && userNameProblem(username) === null
  return [...(isUsable ? [username] : []), ...derived, random]
}

function accountOf({ provider, user }: Pick<Arrival, 'provider' | 'user'>): ProvenAccount {
  const { subject, email, tokens } = user
  return {
    providerId: provider.id,
    provider: provider.name,
    subject,
    email,
    tokens: provider.keepsTokens ? tokens : null,
  }
}

/** The protocol record of an account at a provider that waits for a sign-in, by the secret of its browser (seconds). */
const ARRIVAL_KIND = 'UpstreamArrival'
export const ARRIVAL_LIFE = 600

/** An account at a provider whose user still has to sign in here, to link it. */
export interface KeptArrival {
  account: ProvenAccount
  /** The address, where the provider has verified it. */
  verifiedEmail: string | null
  why: Unlinked
  /** Where the sign-in leads. */
  destination: string | null
}

async function keepArrival(
  services: Services,
  { provider, user, destination }: Arrival,
  why: Unlinked,
): Promise<string> {
  const secret = randomBytes(24).toString('base64url')
  // No tokens: they would be in a store in clear. The next sign-in brings others.
  const account: ProvenAccount = { ...accountOf({ provider, user }), tokens: null }
  const kept: KeptArrival = { account, verifiedEmail: verifiedEmailOf(user), why, destination }
  await services.storage.protocolRecords.put(ARRIVAL_KIND, secret, kept, ARRIVAL_LIFE)
  return secret
}

/** Null when it is unknown, used or too old. */
export async function findArrival(services: Services, secret: string): Promise<KeptArrival | null> {
  const record = await services.storage.protocolRecords.find(ARRIVAL_KIND, secret)
  return record === null || record.consumed ? null : (record.payload as unknown as KeptArrival)
}

/** Links what waits with the identity of a user who has signed in. */
export async function linkArrival(
  services: Services,
  signedIn: SignIn,
  secret: string,
  clientInfo: ClientInfo,
): Promise<LinkOutcome | Lapsed | { kind: 'lost' }> {
  const arrival = await findArrival(services, secret)
  if (arrival === null) return { kind: 'lost' }
  const outcome = await linkAccount(services, signedIn, arrival.account, clientInfo)
  if (outcome.kind !== 'lapsed') await services.storage.protocolRecords.consume(ARRIVAL_KIND, secret)
  return outcome
}

/** Whether the identity has the address that the provider has verified, so that no question is left whose account it is. */
export function isOfArrival({ verifiedEmail }: KeptArrival, { email }: { email: string }): boolean {
  return verifiedEmail !== null && loginKeyOf(email) === loginKeyOf(verifiedEmail)
}

export async function linkFromSettings(
  services: Services,
  signedIn: SignIn,
  arrival: Pick<Arrival, 'provider' | 'user' | 'clientInfo'>,
): Promise<LinkOutcome | Lapsed> {
  return linkAccount(services, signedIn, accountOf(arrival), arrival.clientInfo)
}

export type ProvedAgain =
  | { kind: 'signed-in' | 'second-factor'; proof: Proof }
  /** The account is not linked with this identity. */
  | { kind: 'other-account' }
  /** The provider has not asked its user anew, or does not say so. */
  | { kind: 'not-proved' }

/** A signed-in user proves with a provider who they are (step-up). */
export async function proveAgain(services: Services, signedIn: SignIn, arrival: Arrival): Promise<ProvedAgain> {
  const { provider, user } = arrival
  const linked = await findLinkedAccount(services.storage.pool, provider.id, user.subject)
  if (linked?.identityId !== signedIn.identityId) return { kind: 'other-account' }
  if (!hasProvedAnew(arrival)) return { kind: 'not-proved' }
  const outcome = await enter(services, { ...arrival, deviceHash: null }, linked)
  if (outcome.kind !== 'signed-in' && outcome.kind !== 'second-factor') return { kind: 'other-account' }
  return { kind: outcome.kind, proof: { ...outcome.proof, identitySessionId: signedIn.id } }
}

/** The protocol record of where a sign-in leads, by its state, where a cookie cannot hold it. */
const DESTINATION_KIND = 'UpstreamDestination'

export async function keepDestination(services: Services, state: string, destination: string): Promise<void> {
  await services.storage.protocolRecords.put(DESTINATION_KIND, state, { destination }, ATTEMPT_LIFE)
}

export async function keptDestinationOf(services: Services, state: string): Promise<string | null> {
  const record = await services.storage.protocolRecords.find(DESTINATION_KIND, state)
  return (record?.payload['destination'] as string | undefined) ?? null
}

/** How long a user may stay at a provider (seconds). */
export const ATTEMPT_LIFE = 900

/** The protocol record of a sign-in that has come back, by its state: it comes back once. */
const RETURN_KIND = 'UpstreamReturn'

/** True for the one call that uses this state, however many race. */
export async function takeReturn(services: Services, state: string): Promise<boolean> {
  return services.storage.protocolRecords.putOnce(RETURN_KIND, state, {}, ATTEMPT_LIFE)
}
