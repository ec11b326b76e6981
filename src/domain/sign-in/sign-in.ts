import { insertAuditEvents } from '../../storage/audit.ts'
import { findIdentity, type IdentityRow, updatePasswordHash } from '../../storage/identities.ts'
import { ipKey } from '../limits/ip-keys.ts'
import type { Confirmation } from '../audit-events.ts'
import { withSecondProof } from './authentication-context.ts'
import { isKnownDevice } from './devices.ts'
import { Overloaded } from '../fair-queue.ts'
import { beginAttempt } from '../limits/login-throttling.ts'
import { findIdentityByLogin } from '../identities/identities.ts'
import { type Proof, proofByPassword } from './identity-sessions.ts'
import { findPasskeyOwner, signInWithPasskey } from './passkeys.ts'
import { isTooLong } from '../passwords/passwords.ts'
import type { ClientInfo } from '../client-info.ts'
import type { Services } from '../services.ts'
import { hasSecondFactor } from './second-factors.ts'
import type { IpBlock } from '../limits/ip-blocks.ts'

/** What somebody typed, and where. */
export interface SignInAttempt {
  login: string
  password: string
  clientInfo: ClientInfo
  /** The device of the browser, whoever used it before. */
  deviceHash: Buffer | null
  /** What is confirmed by somebody who is signed in; left out for a sign-in. */
  confirms?: Confirmation
}

/** A disabled identity is answered like a wrong password: whoever asks learns nothing about who has an account. */
export type SignInOutcome =
  | { kind: 'signed-in'; identity: IdentityRow; proof: Proof }
  /** The password is right, and not enough. */
  | { kind: 'second-factor'; identity: IdentityRow; proof: Proof }
  /** `suspension` is what this very guess brought upon its address. */
  | { kind: 'wrong-credentials'; suspension: IpBlock | null }
  | { kind: 'throttled'; retryAt: Date; ipBlocked: boolean }

/** Checks a user name or address with its password. @throws Overloaded */
export async function signIn(
  services: Services,
  { login, password, clientInfo, deviceHash, confirms }: SignInAttempt,
): Promise<SignInOutcome> {
  if (isTooLong(password)) return { kind: 'wrong-credentials', suspension: null }
  const identity = await findIdentityByLogin(services, login)
  const isKnown = identity !== null && (await isKnownDevice(services, identity.id, deviceHash))
  const knownDevice = isKnown ? (deviceHash as Buffer).toString('base64url') : null
  const guess = await beginAttempt(services, {
    kind: 'sign-in',
    // As it was typed: if a name and an address shared their counters, that would tell that they belong together.
    account: login,
    ipAddress: clientInfo.address,
    knownDevice,
  })
  if (guess.kind === 'wait') return { kind: 'throttled', retryAt: guess.retryAt, ipBlocked: guess.ipBlocked }

  // A browser that the person has used before does not share its turns with strangers behind the same address.
  const source = knownDevice ?? ipKey(clientInfo.address)
  // An unknown login pays for one hash too, so timing does not tell who has an account.
  const matches = await services.hasher
    .matches(identity?.passwordHash ?? null, password, source)
    .catch(async (error: unknown) => {
      if (error instanceof Overloaded) await guess.withdraw()
      throw error
    })

  const now = services.clock()
  if (identity === null || !matches || identity.disabledAt !== null) {
    const suspension = await guess.failed()
    // For nobody, too: whoever waits for the answer must not hear what else was done.
    const refusal = confirms ? { kind: 'confirmation_refused', detail: confirms } : { kind: 'sign_in_refused' }
    const event = { ...refusal, identityId: identity?.id ?? null, ...clientInfo }
    await insertAuditEvents(services.storage.pool, [event], now)
    return { kind: 'wrong-credentials', suspension }
  }
  await guess.succeeded()
  const passwordHash = await renewHash(services, identity, password, source)
  const kind = (await hasSecondFactor(services, identity.id)) ? 'second-factor' : 'signed-in'
  const current = { ...identity, passwordHash }
  return { kind, identity: current, proof: proofByPassword(current) }
}

/** What a browser answered when it was asked for a passkey as the only step, and where. */
export interface PasskeyAttempt {
  credential: string
  clientInfo: ClientInfo
  /** The device of the browser, whoever used it before. */
  deviceHash: Buffer | null
}

/**
 * Checks a passkey that signs in by itself. Nobody can guess what it signs, but strangers can send answers: those that are wrong
 * are counted like wrong passwords, and in one tally where they name no passkey that is known here.
 */
export async function signInByPasskey(
  services: Services,
  { credential, clientInfo, deviceHash }: PasskeyAttempt,
): Promise<Extract<SignInOutcome, { kind: 'wrong-credentials' | 'throttled' }> | { kind: 'signed-in'; proof: Proof }> {
  const owner = await findPasskeyOwner(services, credential)
  // Nothing is stored, nor looked for, because of such nonsense.
  if (owner === null) return { kind: 'wrong-credentials', suspension: null }
  const { identityId: ownerId } = owner
  const isKnown = ownerId !== null && (await isKnownDevice(services, ownerId, deviceHash))
  const guess = await beginAttempt(services, {
    kind: 'passkey',
    account: ownerId ?? 'unknown',
    ipAddress: clientInfo.address,
    knownDevice: isKnown ? (deviceHash as Buffer).toString('base64url') : null,
  })
  if (guess.kind === 'wait') return { kind: 'throttled', retryAt: guess.retryAt, ipBlocked: guess.ipBlocked }
  const proved = ownerId === null ? null : await signInWithPasskey(services, credential, clientInfo)
  if (proved === null) return { kind: 'wrong-credentials', suspension: await guess.failed() }
  await guess.succeeded()
  const { identityId, signOuts } = proved
  return { kind: 'signed-in', proof: { identityId, amr: withSecondProof([], proved.proof), signOuts } }
}

/**
 * The hash of a password that was right, made anew if its parameters are too weak by now. A busy portal does that next time.
 * Of sign-ins at the same moment one replaces it, and the others rest on the hash that this one has made.
 */
async function renewHash(services: Services, identity: IdentityRow, password: string, source: string): Promise<string> {
  const { id, passwordHash: from, passwordStandsAlone: standsAlone } = identity
  if (!services.hasher.needsRehash(from)) return from
  const to = await services.hasher.hash(password, source).catch((error: unknown) => {
    if (error instanceof Overloaded) return null
    throw error
  })
  if (to === null) return from
  if (await updatePasswordHash(services.storage.pool, id, { from, to, standsAlone }, services.clock())) return to
  const current = (await findIdentity(services.storage, id))?.passwordHash ?? null
  return current !== null && (await services.hasher.matches(current, password, source)) ? current : from
}
