// sign-in/: sign-in by password, passkey (WebAuthn) and second factor, identity sessions, known devices.
//
// It owns what proves a user (password, TOTP, WebAuthn, recovery codes), the identity session that a proof opens, and the lock
// under which a signed-in user acts (`whileSignedIn`).
// It leaves how often a secret may be tried to `limits/`, password hashing to `passwords/`, what ends with a session to
// `endings/`, and cookies to `http/`.

import { findIdentity, type IdentityRow, updatePasswordHash } from '../../storage/identities.ts'
import { ipKey } from '../limits/ip-keys.ts'
import { type Confirmation, KNOWN_BROWSER } from '../audit-events.ts'
import { withSecondProof } from './authentication-context.ts'
import { isKnownDevice } from './devices.ts'
import { Overloaded } from '../fair-queue.ts'
import { SourceUnavailable } from '../identity-source.ts'
import { loginKeyOf } from '../limits/login-keys.ts'
import { beginAttempt } from '../limits/login-throttling.ts'
import { findIdentityByLogin } from '../identities/identities.ts'
import { confirmSourceStatus } from '../identities/source-users.ts'
import { type Proof, proofByPassword } from './identity-sessions.ts'
import { findPasskeyOwner, signInWithPasskey } from './passkeys.ts'
import { characterCount, isOwnHash, isPasswordTooLong } from '../passwords/passwords.ts'
import type { ClientInfo } from '../client-info.ts'
import type { SignInOutcomeCounted } from '../metrics.ts'
import { noteRefusal, noteUncheckedRefusal, type Refusal } from '../refusals.ts'
import type { Services } from '../services.ts'
import { hasSecondFactor } from './second-factors.ts'
import { countSignIn } from './sign-in-counts.ts'
import { isTrustedBrowser } from './trusted-browsers.ts'
import type { Message } from '../../i18n/messages.ts'
import { checkPassword } from './password-checks.ts'
import type { IpBlock } from '../limits/ip-blocks.ts'

/** A login and a password as they were typed, and the client they come from. */
export interface SignInAttempt {
  login: string
  password: string
  clientInfo: ClientInfo
  /** The device of the browser, known to this identity or not. */
  deviceHash: Buffer | null
  /** What a signed-in user confirms with the password; left out for a sign-in. */
  confirms?: Confirmation
  /** Of a registration, whose login is its e-mail address: the user name. */
  registers?: { username: string }
}

/** A disabled identity is answered like a wrong password (no account enumeration). */
export type SignInOutcome =
  | { kind: 'signed-in'; identity: IdentityRow; proof: Proof }
  /** The password matches, and a second factor is required. */
  | { kind: 'second-factor'; identity: IdentityRow; proof: Proof }
  /**
   * `ipBlock` is the block of the IP address that this failure caused. The failure of a registration is left to the caller to
   * write down.
   */
  | { kind: 'wrong-credentials'; ipBlock: IpBlock | null; refusal?: Refusal }
  | { kind: 'throttled'; retryAt: Date; ipBlocked: boolean }
  /** The password is right, and the user of the identity source cannot be let in for a reason that they may know. */
  | { kind: 'not-admitted'; problem: Message }

/**
 * Checks a user name or e-mail address with its password, under login throttling. An account that is here alone comes first; every
 * other login is one of the identity source, where there is one. One that comes with a registration counts at the account like any
 * other; at the IP address it does not, because most of them are no guesses, and registrations have their own rate limit there.
 * @throws Overloaded, SourceUnavailable
 */
export async function signIn(
  services: Services,
  { login, password, clientInfo, deviceHash, confirms, registers }: SignInAttempt,
): Promise<SignInOutcome> {
  // An empty field is not an attempt.
  if (password === '' || isPasswordTooLong(password)) return { kind: 'wrong-credentials', ipBlock: null }
  const found =
    registers === undefined
      ? await findIdentityByLogin(services, login)
      : await findRegistered(services, login, registers.username)
  const isKnown = found !== null && (await isKnownDevice(services, found.id, deviceHash))
  const knownDevice = isKnown ? (deviceHash as Buffer).toString('base64url') : null
  const attempt = await beginAttempt(services, {
    kind: 'sign-in',
    // As it was typed: if a user name and an e-mail address shared counters, a stranger could see that they are one account.
    account: login,
    ipAddress: clientInfo.address,
    knownDevice,
  })
  const count = (outcome: SignInOutcomeCounted) => {
    if (confirms === undefined && registers === undefined) countSignIn(services, outcome, ['password'])
  }
  // Also without an identity, here and below, so that the time of the answer does not allow account enumeration.
  const refusal = {
    ...(confirms
      ? { kind: 'confirmation_refused' as const, detail: confirms }
      : { kind: 'sign_in_refused' as const, detail: isKnown ? KNOWN_BROWSER : null }),
    identityId: found?.id ?? null,
    clientInfo,
  }
  if (attempt.kind === 'wait') {
    count('throttled')
    const cause = attempt.ipBlocked ? 'ip_blocked' : 'throttled'
    if (registers === undefined) await noteUncheckedRefusal(services, { ...refusal, cause })
    return { kind: 'throttled', retryAt: attempt.retryAt, ipBlocked: attempt.ipBlocked }
  }

  // A known device has its own turns in the queue, apart from strangers with the same IP address.
  const source = knownDevice ?? ipKey(clientInfo.address)
  const checked = await checkPassword(services, {
    login,
    password,
    identity: found,
    source,
    clientInfo,
    confirms,
  }).catch(async (error: unknown) => {
    if (error instanceof Overloaded || error instanceof SourceUnavailable) {
      count(error instanceof Overloaded ? 'overloaded' : 'source_unavailable')
      await attempt.withdraw()
    }
    throw error
  })
  const { identity } = checked
  if (checked.kind === 'not-admitted') {
    await attempt.succeeded()
    count('refused')
    await noteRefusal(services, { ...refusal, identityId: identity?.id ?? null, cause: checked.cause })
    return { kind: 'not-admitted', problem: checked.problem }
  }
  const matches = checked.kind === 'matches'
  if (identity === null || !matches || identity.disabledAt !== null) {
    const cause = identity === null ? 'unknown_account' : matches ? 'disabled' : 'wrong_password'
    const identityId = identity?.id ?? null
    if (registers !== undefined)
      return { kind: 'wrong-credentials', ipBlock: null, refusal: { ...refusal, identityId, cause } }
    const ipBlock = await attempt.failed()
    count('refused')
    await noteRefusal(services, { ...refusal, identityId, cause })
    return { kind: 'wrong-credentials', ipBlock }
  }
  await attempt.succeeded()
  const passwordHash =
    identity.sourceId === null ? await renewHash(services, identity, password, source) : identity.passwordHash
  const current = { ...identity, passwordHash }
  const proof = proofByPassword(current)
  if (!(await hasSecondFactor(services, identity.id))) return { kind: 'signed-in', identity: current, proof }
  // A user who confirms that it is them is about to change what protects the account: a trusted browser is not enough for that.
  if (confirms === undefined && (await isTrustedBrowser(services, identity, deviceHash)))
    return { kind: 'signed-in', identity: current, proof: { ...proof, browserTrust: 'used' } }
  return { kind: 'second-factor', identity: current, proof }
}

/** Whom a registration names: the account with this user name and this very address, else the one that the address belongs to. */
async function findRegistered(services: Services, email: string, username: string): Promise<IdentityRow | null> {
  // Both are looked for, so that the work does not tell which there is.
  const [named, holder] = [await findIdentityByLogin(services, username), await findIdentityByLogin(services, email)]
  return named !== null && loginKeyOf(named.email) === loginKeyOf(email) ? named : holder
}

/** A browser's answer to a sign-in by passkey alone, and the client it comes from. */
export interface PasskeyAttempt {
  credential: string
  clientInfo: ClientInfo
  /** The device of the browser, known to this identity or not. */
  deviceHash: Buffer | null
}

/**
 * Checks a sign-in by passkey alone (WebAuthn). Its signature cannot be brute-forced, but strangers can send answers: failures
 * are counted like wrong passwords, and in one common counter when they name an unknown passkey.
 */
export async function signInByPasskey(
  services: Services,
  { credential, clientInfo, deviceHash }: PasskeyAttempt,
): Promise<Extract<SignInOutcome, { kind: 'wrong-credentials' | 'throttled' }> | { kind: 'signed-in'; proof: Proof }> {
  const owner = await findPasskeyOwner(services, credential)
  // Malformed: nothing is read or stored for it.
  if (owner === null) return { kind: 'wrong-credentials', ipBlock: null }
  const { identityId: ownerId } = owner
  const isKnown = ownerId !== null && (await isKnownDevice(services, ownerId, deviceHash))
  const attempt = await beginAttempt(services, {
    kind: 'passkey',
    account: ownerId ?? 'unknown',
    ipAddress: clientInfo.address,
    knownDevice: isKnown ? (deviceHash as Buffer).toString('base64url') : null,
  })
  const detail = isKnown ? KNOWN_BROWSER : null
  const refusal = { kind: 'sign_in_refused', identityId: ownerId, detail, clientInfo } as const
  if (attempt.kind === 'wait') {
    countSignIn(services, 'throttled', ['passkey'])
    await noteUncheckedRefusal(services, { ...refusal, cause: attempt.ipBlocked ? 'ip_blocked' : 'throttled' })
    return { kind: 'throttled', retryAt: attempt.retryAt, ipBlocked: attempt.ipBlocked }
  }
  const proved = ownerId === null ? null : await signInWithPasskey(services, credential, clientInfo)
  if (proved !== null)
    await confirmSourceStatus(services, proved.identityId).catch(async (error: unknown) => {
      if (error instanceof SourceUnavailable) {
        countSignIn(services, 'source_unavailable', ['passkey'])
        await attempt.withdraw()
      }
      throw error
    })
  if (proved === null) {
    countSignIn(services, 'refused', ['passkey'])
    await noteRefusal(services, { ...refusal, cause: 'wrong_passkey' })
    return { kind: 'wrong-credentials', ipBlock: await attempt.failed() }
  }
  await attempt.succeeded()
  const { identityId, signOuts } = proved
  const amr = withSecondProof([], proved.proof)
  return { kind: 'signed-in', proof: { identityId, amr, methods: ['passkey'], signOuts } }
}

/**
 * The hash of a password that matched, made anew if its parameters are too weak by now, or another system made it. An overloaded
 * portal leaves that to the next sign-in. Of sign-ins at the same moment one replaces the hash, and the others use the new one.
 */
async function renewHash(services: Services, identity: IdentityRow, password: string, source: string): Promise<string> {
  const { id, passwordHash: from } = identity
  if (!services.hasher.needsRehash(from)) return from
  // How long an imported password is, is known from now on.
  const standsAlone =
    identity.passwordStandsAlone || (!isOwnHash(from) && characterCount(password) >= services.policy.passwordLength)
  const to = await services.hasher.hash(password, source).catch((error: unknown) => {
    if (error instanceof Overloaded) return null
    throw error
  })
  if (to === null) return from
  if (await updatePasswordHash(services.storage.pool, id, { from, to, standsAlone }, services.clock())) return to
  const current = (await findIdentity(services.storage, id))?.passwordHash ?? null
  return current !== null && (await services.hasher.matches(current, password, source)) ? current : from
}
