import { insertAuditEvents } from '../../storage/audit.ts'
import { endDeviceTrust } from '../../storage/devices.ts'
import { lockIdentity } from '../../storage/identities.ts'
import { markPasskeyInBrowser } from '../../storage/passkey-offers.ts'
import { insertPasskey, listPasskeys } from '../../storage/passkeys.ts'
import { type Queryable, transaction } from '../../storage/postgres.ts'
import { replaceRecoveryCodes } from '../../storage/recovery-codes.ts'
import {
  countFactors as countFactorsIn,
  deleteSecondFactor,
  FACTOR_KINDS,
  type FactorKind,
  updateSecondFactorName,
} from '../../storage/second-factors.ts'
import { insertTotpKey, listTotpKeys } from '../../storage/totp-keys.ts'
import { type Message, message } from '../../i18n/messages.ts'
import type { SecondProof } from './authentication-context.ts'
import { type AuditKind, KNOWN_BROWSER } from '../audit-events.ts'
import { isKnownDevice } from './devices.ts'
import { beginAttempt } from '../limits/login-throttling.ts'
import { type Lapsed, type SignedInRow, type SignIn, whileSignedIn } from './identity-sessions.ts'
import { queueMail } from '../mail-jobs.ts'
import { type Enrolment, provePasskey, provePasskeyEnrolment } from './passkeys.ts'
import type { ClientInfo } from '../client-info.ts'
import { Refused } from '../refused.ts'
import { noteRefusal, noteUncheckedRefusal } from '../refusals.ts'
import type { Services } from '../services.ts'
import { areRecoveryCodes, countRecoveryCodes, makeRecoveryCodesIn, useRecoveryCodeIn } from './recovery-codes.ts'
import type { IpBlock } from '../limits/ip-blocks.ts'
import { countSignIn } from './sign-in-counts.ts'
import type { SignInMethod } from './sign-in-methods.ts'
import { acceptTotpCode, proveTotpEnrolment } from './totp.ts'
import { plainCode } from './typed-codes.ts'

export { FACTOR_KINDS, type FactorKind }

/** Per identity: more than a user has devices. */
const MOST_FACTORS = 20
export const LONGEST_FACTOR_NAME = 40
/** In RFC 8176's words. A recovery code is a one-time password, too, only written down before. */
const ONE_TIME_PASSWORD: SecondProof = ['otp']

/** What audit events and queued mails call the kinds; `readFactorDetail` reads it, and the catalogue has the words for users. */
export const FACTOR_WORDS: Record<FactorKind, string> = { totp: 'authenticator app', passkey: 'passkey' }

export interface SecondFactor {
  kind: FactorKind
  /** False for what only follows a password: an authenticator app, and a security key that keeps no passkeys. */
  signsInAlone: boolean
  /** False for a passkey that signs in alone and leaves two-step verification off. */
  isSecondStep: boolean
  id: string
  name: string
  createdAt: Date
  lastUsedAt: Date | null
}

export interface SecondFactors {
  /** The oldest first. */
  factors: SecondFactor[]
  recoveryCodesLeft: number
}

export async function countSecondFactors(services: Services, identityId: string): Promise<number> {
  return (await countFactorsIn(services.storage.pool, identityId)).secondSteps
}

/** True when this identity can prove more than a password, asked for it or not. */
export async function hasAnyFactor(services: Services, identityId: string): Promise<boolean> {
  const { secondSteps, signInOnly } = await countFactorsIn(services.storage.pool, identityId)
  return secondSteps + signInOnly > 0
}

/** True when a password alone does not sign this identity in. */
export async function hasSecondFactor(services: Services, identityId: string): Promise<boolean> {
  return (await countSecondFactors(services, identityId)) > 0
}

export async function listSecondFactors(services: Services, identityId: string): Promise<SecondFactors> {
  const { pool } = services.storage
  const [factors, recoveryCodesLeft] = await Promise.all([
    factorsOf(pool, identityId),
    countRecoveryCodes(pool, identityId),
  ])
  return { factors, recoveryCodesLeft }
}

/**
 * The second step of a sign-in: what was typed for the code of an authenticator app, which may also be a recovery code; a
 * recovery code; or a browser's WebAuthn answer in JSON.
 */
export type SecondStepAnswer = { code: string } | { recoveryCode: string } | { credential: string }

/** A second step, and the client it comes from. */
export interface SecondStepAttempt {
  identityId: string
  answer: SecondStepAnswer
  clientInfo: ClientInfo
  /** The device of the browser, known to this identity or not. */
  deviceHash: Buffer | null
  /** True for a signed-in user who proves their identity again (step-up). */
  isSignedIn?: boolean
}

export type SecondStepOutcome =
  /** `recoveryCodesLeft` after a recovery code; null after anything else. */
  | { kind: 'proved'; proof: SecondProof; method: SignInMethod; recoveryCodesLeft: number | null }
  /** `ipBlock` is the block of the IP address that this failure caused. */
  | { kind: 'refused'; ipBlock: IpBlock | null }
  | { kind: 'throttled'; retryAt: Date; ipBlocked: boolean }

/**
 * Checks a second step of either kind, under login throttling. A passkey cannot be brute-forced, but each wrong answer costs work
 * and an audit event, so it counts in the same way.
 */
export async function proveSecondStep(
  services: Services,
  { identityId, answer, clientInfo, deviceHash, isSignedIn = false }: SecondStepAttempt,
): Promise<SecondStepOutcome> {
  // An empty field is not an attempt.
  if ('code' in answer && plainCode(answer.code) === '') return { kind: 'refused', ipBlock: null }
  const isKnown = await isKnownDevice(services, identityId, deviceHash)
  const attempt = await beginAttempt(services, {
    kind: 'second-factor',
    account: identityId,
    ipAddress: clientInfo.address,
    knownDevice: isKnown ? (deviceHash as Buffer).toString('base64url') : null,
  })
  const count = (outcome: 'refused' | 'throttled') => {
    if (!isSignedIn) countSignIn(services, outcome, [triedMethod(answer)])
  }
  const [kind, detail] = isSignedIn
    ? (['confirmation_refused', 'second-factor'] as const)
    : (['second_factor_refused', isKnown ? KNOWN_BROWSER : null] as const)
  const refusal = { kind, detail, identityId, clientInfo }
  if (attempt.kind === 'wait') {
    count('throttled')
    await noteUncheckedRefusal(services, { ...refusal, cause: attempt.ipBlocked ? 'ip_blocked' : 'throttled' })
    return { kind: 'throttled', retryAt: attempt.retryAt, ipBlocked: attempt.ipBlocked }
  }
  const proved = await prove(services, identityId, answer, clientInfo)
  if (proved === null) {
    count('refused')
    await noteRefusal(services, { ...refusal, cause: 'code' in answer ? 'wrong_code' : 'wrong_passkey' })
    return { kind: 'refused', ipBlock: await attempt.failed() }
  }
  await attempt.succeeded()
  const isRecovery = proved.method === 'recovery-code'
  const recoveryCodesLeft = isRecovery ? await countRecoveryCodes(services.storage.pool, identityId) : null
  return { kind: 'proved', ...proved, recoveryCodesLeft }
}

/** What is typed for the code of an app may be a recovery code, which a wrong one does not tell. */
function triedMethod(answer: SecondStepAnswer): SignInMethod {
  if ('credential' in answer) return 'passkey'
  return 'code' in answer ? 'app' : 'recovery-code'
}

/** The sentence a user reads when a name is not accepted; null when it is. */
export function factorNameProblem(name: string): Message | null {
  const length = [...name.trim()].length
  if (length === 0) return message('methods.name_missing')
  return length > LONGEST_FACTOR_NAME ? message('methods.name_too_long', { count: LONGEST_FACTOR_NAME }) : null
}

export type Added =
  /**
   * The user has also proved to have it. `recoveryCodes` were made because this is the first one; they cannot be shown again.
   */
  { kind: 'added'; proof: SecondProof; recoveryCodes: string[] | null } | { kind: 'too-many' } | { kind: 'taken' }

/** Adds the authenticator app that the key of `beginTotpEnrolment` was put into, once a code of it is right. */
export async function addTotpKey(
  services: Services,
  signedIn: SignedInRow,
  name: string,
  typed: string,
  clientInfo: ClientInfo,
): Promise<Added | { kind: 'wrong-code' } | { kind: 'lost' } | Lapsed> {
  const proof = await proveTotpEnrolment(services, signedIn, plainCode(typed))
  if (proof.kind !== 'proved') return proof
  const change: Change = { kind: 'totp', name: name.trim(), identityId: signedIn.identityId, clientInfo }
  return add(services, signedIn, change, ONE_TIME_PASSWORD, async (db) => {
    await insertTotpKey(db, { ...proof.key, name: change.name })
    return true
  })
}

/**
 * Adds the passkey that a browser made for `passkeyEnrolmentOptions`; `credential` is its answer, in JSON. One that was offered
 * does not turn two-step verification on: a user who said yes to a faster sign-in would be locked out of other browsers.
 */
export async function addPasskey(
  services: Services,
  signedIn: SignedInRow,
  name: string,
  credential: string,
  clientInfo: ClientInfo,
  ceremony: Enrolment = 'second-step',
): Promise<Added | { kind: 'refused' } | Lapsed> {
  const proved = await provePasskeyEnrolment(services, signedIn, credential, ceremony)
  if (proved === null) return { kind: 'refused' }
  const change: Change = { kind: 'passkey', name: name.trim(), identityId: signedIn.identityId, clientInfo }
  const { passkey, proof, isInThisBrowser } = proved
  return add(services, signedIn, { ...change, isSecondStep: passkey.isSecondStep }, proof, async (db) => {
    if (!(await insertPasskey(db, { ...passkey, name: change.name }))) return false
    if (isInThisBrowser) await markPasskeyInBrowser(db, signedIn.id)
    return true
  })
}

/** False when this identity has no such factor. */
export async function renameSecondFactor(
  services: Services,
  signedIn: SignIn,
  kind: FactorKind,
  id: string,
  name: string,
): Promise<boolean | Lapsed> {
  return whileSignedIn(services, signedIn, 'fresh', (db) =>
    updateSecondFactorName(db, kind, signedIn.identityId, id, name.trim()),
  )
}

export type Removed =
  /** With the last one the recovery codes go too: the password is all that is left. */
  | { kind: 'removed'; wasLast: boolean }
  | { kind: 'unknown' }
  /** The password is too short to be all that is left. */
  | { kind: 'password-too-short' }

export async function removeSecondFactor(
  services: Services,
  signedIn: SignIn,
  kind: FactorKind,
  id: string,
  clientInfo: ClientInfo,
): Promise<Removed | Lapsed> {
  const { identityId } = signedIn
  return whileSignedIn<Removed>(services, signedIn, 'fresh', async (db) => {
    const identity = await lockIdentity(db, identityId)
    const factors = await factorsOf(db, identityId)
    const factor = factors.find((each) => each.kind === kind && each.id === id)
    if (identity === null || factor === undefined) return { kind: 'unknown' }
    const wasLast = isLastSecondStep(factor, factors)
    if (wasLast && !identity.passwordStandsAlone) return { kind: 'password-too-short' }

    await deleteSecondFactor(db, kind, identityId, id)
    if (wasLast) await replaceRecoveryCodes(db, identityId, [], services.clock())
    await endDeviceTrust(db, identityId, services.clock())
    await tell(services, db, 'removed', { kind, name: factor.name, identityId, clientInfo })
    return { kind: 'removed', wasLast }
  })
}

/** Whether the password alone signs in once this one is removed. */
export function isLastSecondStep(factor: SecondFactor, factors: SecondFactor[]): boolean {
  return factor.isSecondStep && factors.filter(({ isSecondStep }) => isSecondStep).length === 1
}

/**
 * The same by an operator, for a user who has lost it. After the last one the password is enough, also a short one. @throws Refused
 */
export async function takeSecondFactor(services: Services, identityId: string, id: string): Promise<void> {
  await transaction(services.storage.pool, async (db) => {
    await lockIdentity(db, identityId)
    const factors = await factorsOf(db, identityId)
    const factor = factors.find((each) => each.id === id)
    if (factor === undefined) throw new Refused(`there is no sign-in method ${id} of this identity`, 'not_found')
    await deleteSecondFactor(db, factor.kind, identityId, id)
    if (isLastSecondStep(factor, factors)) await replaceRecoveryCodes(db, identityId, [], services.clock())
    await endDeviceTrust(db, identityId, services.clock())
    await tell(services, db, 'removed', { kind: factor.kind, name: factor.name, identityId, clientInfo: null })
  })
}

/** Removes all of them, by an operator for a user who has lost them. From then on the password is enough. */
export async function resetSecondFactors(services: Services, identityId: string): Promise<void> {
  await transaction(services.storage.pool, async (db) => {
    await lockIdentity(db, identityId)
    await removeEverySecondFactorIn(services, db, identityId, null)
    await writeDown(db, services, 'second_factors_reset', identityId, null, null)
  })
}

/**
 * The same in the caller's transaction, which locks the identity. It is also for a password reset that proves the e-mail address
 * for the first time: until then a stranger may have registered it, and added second factors of their own.
 */
export async function removeEverySecondFactorIn(
  services: Services,
  db: Queryable,
  identityId: string,
  clientInfo: ClientInfo | null,
): Promise<void> {
  for (const { kind, id, name } of await factorsOf(db, identityId)) {
    await deleteSecondFactor(db, kind, identityId, id)
    await tell(services, db, 'removed', { kind, name, identityId, clientInfo })
  }
  await replaceRecoveryCodes(db, identityId, [], services.clock())
  await endDeviceTrust(db, identityId, services.clock())
}

/** A new set in place of the old one, to be shown once. Null while there is no second factor that they could stand in for. */
export async function renewRecoveryCodes(
  services: Services,
  signedIn: SignIn,
  clientInfo: ClientInfo,
): Promise<string[] | null | Lapsed> {
  const { identityId } = signedIn
  return whileSignedIn(services, signedIn, 'fresh', async (db) => {
    if ((await countFactorsIn(db, identityId)).secondSteps === 0) return null
    await writeDown(db, services, 'recovery_codes_made', identityId, null, clientInfo)
    return makeRecoveryCodesIn(db, services, identityId)
  })
}

/** Whether all of these are codes of this user that work, as they were shown. */
export async function areLivingRecoveryCodes(
  services: Services,
  signedIn: SignIn,
  codes: string[],
): Promise<boolean | Lapsed> {
  return whileSignedIn(services, signedIn, 'living', (db) =>
    areRecoveryCodes(db, services, signedIn.identityId, codes.map(plainCode)),
  )
}

/** What was proved, and by which method. */
type Proved = Omit<Extract<SecondStepOutcome, { kind: 'proved' }>, 'kind'>

/** Null for an answer that is wrong, or was used before. */
async function prove(
  services: Services,
  identityId: string,
  answer: SecondStepAnswer,
  clientInfo: ClientInfo,
): Promise<Proved | null> {
  if ('credential' in answer) {
    const proof = await provePasskey(services, identityId, answer.credential, clientInfo)
    return proof && { proof, method: 'passkey', recoveryCodesLeft: null }
  }
  if ('code' in answer && (await acceptTotpCode(services, identityId, plainCode(answer.code))))
    return { proof: ONE_TIME_PASSWORD, method: 'app', recoveryCodesLeft: null }
  const recoveryCode = plainCode('code' in answer ? answer.code : answer.recoveryCode)
  const recoveryCodesLeft = await acceptRecoveryCode(services, identityId, recoveryCode, clientInfo)
  if (recoveryCodesLeft === null) return null
  return { proof: ONE_TIME_PASSWORD, method: 'recovery-code', recoveryCodesLeft }
}

async function factorsOf(db: Queryable, identityId: string): Promise<SecondFactor[]> {
  const totpKeys = await listTotpKeys(db, identityId)
  const passkeys = await listPasskeys(db, identityId)
  return [
    ...totpKeys.map((key) => ({ kind: 'totp' as const, signsInAlone: false, isSecondStep: true, ...key })),
    ...passkeys.map((passkey) => ({
      kind: 'passkey' as const,
      signsInAlone: passkey.discoverable ?? true,
      ...passkey,
    })),
  ]
    .map(({ kind, signsInAlone, isSecondStep, id, name, createdAt, lastUsedAt }) => ({
      kind,
      signsInAlone,
      isSecondStep,
      id,
      name,
      createdAt,
      lastUsedAt,
    }))
    .toSorted((a, b) => Number(a.createdAt) - Number(b.createdAt))
}

/** @returns how many are left after this one; null when it is none, or was used before */
async function acceptRecoveryCode(
  services: Services,
  identityId: string,
  code: string,
  clientInfo: ClientInfo,
): Promise<number | null> {
  return transaction(services.storage.pool, async (db) => {
    if (!(await useRecoveryCodeIn(db, services, identityId, code))) return null
    await writeDown(db, services, 'recovery_code_used', identityId, null, clientInfo)
    return countRecoveryCodes(db, identityId)
  })
}

interface Change {
  kind: FactorKind
  /** Left out for one that is. */
  isSecondStep?: boolean
  name: string
  identityId: string
  /** Null for an operator. */
  clientInfo: ClientInfo | null
}

/** `insert` returns false when another account has the same factor. */
async function add(
  services: Services,
  signedIn: SignIn,
  change: Change,
  proof: SecondProof,
  insert: (db: Queryable) => Promise<boolean>,
): Promise<Added | Lapsed> {
  const { identityId } = change
  return whileSignedIn<Added>(services, signedIn, 'fresh', async (db) => {
    const { secondSteps, signInOnly } = await countFactorsIn(db, identityId)
    if (secondSteps + signInOnly >= MOST_FACTORS) return { kind: 'too-many' }
    if (!(await insert(db))) return { kind: 'taken' }
    await tell(services, db, 'added', change)
    // What leaves two-step verification as it is changes nothing for trusted browsers.
    if (change.isSecondStep !== false) await endDeviceTrust(db, identityId, services.clock())
    const isFirst = secondSteps === 0 && change.isSecondStep !== false
    const recoveryCodes = isFirst ? await makeRecoveryCodesIn(db, services, identityId) : null
    return { kind: 'added', proof, recoveryCodes }
  })
}

/** Tells the user, on the activity page and by mail. */
async function tell(
  services: Services,
  db: Queryable,
  what: 'added' | 'removed',
  { kind, name, identityId, clientInfo }: Change,
): Promise<void> {
  const factor = `${FACTOR_WORDS[kind]} “${name}”`
  await writeDown(db, services, `second_factor_${what}`, identityId, factor, clientInfo)
  const at = services.clock().toISOString()
  await queueMail(services, { kind: `second-factor-${what}`, identityId, factor, clientInfo, at }, db)
}

async function writeDown(
  db: Queryable,
  services: Services,
  kind: AuditKind,
  identityId: string,
  detail: string | null,
  clientInfo: ClientInfo | null,
): Promise<void> {
  await insertAuditEvents(db, [{ kind, identityId, detail, actor: services.operator, ...clientInfo }], services.clock())
}
