import { randomUUID } from 'node:crypto'
import type {
  AuthenticationResponseJSON,
  CredentialDeviceType,
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
  RegistrationResponseJSON,
} from '@simplewebauthn/server'
import { z } from 'zod'
import { isLoopback } from '../../config.ts'
import { insertAuditEvents } from '../../storage/audit.ts'
import { findIdentity } from '../../storage/identities.ts'
import {
  advancePasskeyCounter,
  findPasskeyByCredential,
  listPasskeys,
  type PasskeyRow,
} from '../../storage/passkeys.ts'
import type { SecondProof } from './authentication-context.ts'
import type { SignedInRow } from './identity-sessions.ts'
import { CHALLENGE_LIFE, isLivingChallenge, issueChallenge, markChallengeAnswered } from './passkey-challenges.ts'
import type { ClientInfo } from '../client-info.ts'
import type { Services } from '../services.ts'

/** WebAuthn signatures of authenticators: Ed25519, P-256, RSA (RFC 9053, RFC 8812). */
const ALGORITHMS = [-8, -7, -257]
/** The longest answer of a browser that is parsed (characters); real ones are far shorter. */
export const LONGEST_CREDENTIAL = 16_000

/** Browsers have passkeys only for a host that has a name, over https or on this very machine. */
export function offersPasskeys({ publicUrl }: Services): boolean {
  const { protocol, hostname } = new URL(publicUrl)
  const isIpAddress = /^[\d.]+$|^\[/.test(hostname)
  return !isIpAddress && (protocol === 'https:' || isLoopback(hostname))
}

/**
 * What a browser needs to make a passkey that can be found without a user name, where the authenticator can (WebAuthn §5.4).
 * A security key that cannot is a second step only: sign-in without a user name names no keys, so it does not answer there.
 */
export async function passkeyEnrolmentOptions(
  services: Services,
  signedIn: SignedInRow,
  ceremony: Enrolment = 'second-step',
): Promise<PublicKeyCredentialCreationOptionsJSON> {
  const passkeys = await listPasskeys(services.storage.pool, signedIn.identityId)
  return {
    challenge: issueChallenge(services, enrolmentSubject(signedIn, ceremony)),
    rp: { id: relyingPartyId(services), name: services.brand.name },
    user: { id: userHandleOf(signedIn.identityId), name: signedIn.username, displayName: signedIn.username },
    pubKeyCredParams: ALGORITHMS.map((alg) => ({ alg, type: 'public-key' })),
    timeout: CHALLENGE_LIFE * 1000,
    attestation: 'none',
    authenticatorSelection: SELECTIONS[ceremony],
    excludeCredentials: passkeys.map(descriptorOf),
    extensions: { credProps: true },
  }
}

/**
 * How a passkey is made: for two-step verification, in the settings; at an offer after a sign-in, by this very device, so that it
 * signs in alone; or at once, without a question, by the password manager that filled in the password (conditional create).
 */
export type Enrolment = 'second-step' | 'offer' | 'upgrade'

const SIGNS_IN_ALONE = { residentKey: 'required', requireResidentKey: true } as const
const SELECTIONS: Record<Enrolment, AuthenticatorSelection> = {
  'second-step': { residentKey: 'preferred', requireResidentKey: false, userVerification: 'preferred' },
  offer: { ...SIGNS_IN_ALONE, authenticatorAttachment: 'platform', userVerification: 'required' },
  upgrade: { ...SIGNS_IN_ALONE, userVerification: 'preferred' },
}
type AuthenticatorSelection = NonNullable<PublicKeyCredentialCreationOptionsJSON['authenticatorSelection']>

/** What a browser needs to sign in with a passkey alone, of any user (WebAuthn §5.5). */
export function passkeySignInOptions(services: Services): PublicKeyCredentialRequestOptionsJSON {
  return requestOptions(services, SIGN_IN, 'required')
}

/** The same for a second step, after the password. Null when the user has no passkey. */
export async function passkeySecondStepOptions(
  services: Services,
  identityId: string,
): Promise<PublicKeyCredentialRequestOptionsJSON | null> {
  const passkeys = await listPasskeys(services.storage.pool, identityId)
  if (passkeys.length === 0 || !offersPasskeys(services)) return null
  return {
    ...requestOptions(services, secondStepSubject(identityId), 'preferred'),
    allowCredentials: passkeys.map(descriptorOf),
  }
}

/** Verifies a browser's answer to `passkeyEnrolmentOptions`. Null when anything is wrong. */
export async function provePasskeyEnrolment(
  services: Services,
  signedIn: SignedInRow,
  credential: string,
  ceremony: Enrolment = 'second-step',
): Promise<{
  passkey: Omit<PasskeyRow, 'name' | 'lastUsedAt'>
  proof: SecondProof
  isInThisBrowser: boolean
} | null> {
  const response = readJson(credential, registration) as RegistrationResponseJSON | null
  if (response === null || !offersPasskeys(services)) return null
  const { verifyRegistrationResponse } = await import('@simplewebauthn/server')
  const proved = await answered(services, enrolmentSubject(signedIn, ceremony), async (expectations) =>
    verifyRegistrationResponse({
      response,
      ...expectations,
      // A passkey that is made without a question has the word of the password manager alone (WebAuthn §7.1).
      requireUserPresence: ceremony !== 'upgrade',
      requireUserVerification: ceremony === 'offer',
      supportedAlgorithmIDs: ALGORITHMS,
    }),
  )
  if (proved?.registrationInfo === undefined) return null
  const { credential: made, credentialBackedUp: backedUp, credentialDeviceType } = proved.registrationInfo
  return {
    passkey: {
      id: randomUUID(),
      identityId: signedIn.identityId,
      credentialId: made.id,
      publicKey: Buffer.from(made.publicKey),
      counter: made.counter,
      transports: made.transports ?? [],
      backedUp,
      discoverable: response.clientExtensionResults.credProps?.rk ?? null,
      isSecondStep: ceremony === 'second-step',
      createdAt: services.clock(),
    },
    proof: proofBy(credentialDeviceType),
    isInThisBrowser: isOfThisBrowser(credential),
  }
}

/**
 * The owner of the passkey that an answer names, before the answer is verified. The id is null for an unknown passkey. Null for
 * what is not an answer of a browser.
 */
export async function findPasskeyOwner(
  services: Services,
  credential: string,
): Promise<{ identityId: string | null } | null> {
  const response = readJson(credential, authentication)
  if (response === null) return null
  const passkey = await findPasskeyByCredential(services.storage.pool, response.id)
  return { identityId: passkey?.identityId ?? null }
}

/** What a page lets the browser say to its password managers (Signal API, WebAuthn §5.1.10), by the name of the signal. */
export interface PasskeySignals {
  signalUnknownCredential?: { rpId: string; credentialId: string }
  signalAllAcceptedCredentials?: { rpId: string; userId: string; allAcceptedCredentialIds: string[] }
  signalCurrentUserDetails?: { rpId: string; userId: string; name: string; displayName: string }
}

/** Which passkeys of this user work, and their user name: password managers hide or rename the others. */
export async function signalsAbout(
  services: Services,
  { identityId, username }: Pick<SignedInRow, 'identityId' | 'username'>,
): Promise<PasskeySignals | null> {
  if (!offersPasskeys(services)) return null
  const user = { rpId: relyingPartyId(services), userId: userHandleOf(identityId) }
  const passkeys = await listPasskeys(services.storage.pool, identityId)
  return {
    signalAllAcceptedCredentials: {
      ...user,
      allAcceptedCredentialIds: passkeys.map(({ credentialId }) => credentialId),
    },
    signalCurrentUserDetails: { ...user, name: username, displayName: username },
  }
}

/** That no account has the passkey of this answer, such as one that was removed; null for any other answer. */
export async function signalIfUnknown(services: Services, credential: string): Promise<PasskeySignals | null> {
  const credentialId = readJson(credential, authentication)?.id
  if (credentialId === undefined || !offersPasskeys(services)) return null
  const isKnown = (await findPasskeyByCredential(services.storage.pool, credentialId)) !== null
  return isKnown ? null : { signalUnknownCredential: { rpId: relyingPartyId(services), credentialId } }
}

/** Whether an answer is of a passkey that the browser or its device holds, and not of a phone or a security key beside it. */
export function isOfThisBrowser(credential: string): boolean {
  return readJson(credential, attached)?.authenticatorAttachment === 'platform'
}

/** Verifies an answer to `passkeySignInOptions`, with user verification. @returns the owner; null when anything is wrong */
export async function signInWithPasskey(
  services: Services,
  credential: string,
  clientInfo: ClientInfo,
): Promise<{ identityId: string; proof: SecondProof; signOuts: number } | null> {
  return prove(services, { subject: SIGN_IN, identityId: null }, credential, clientInfo)
}

/** Verifies an answer of this user's passkey to `passkeySecondStepOptions`. Null when anything is wrong. */
export async function provePasskey(
  services: Services,
  identityId: string,
  credential: string,
  clientInfo: ClientInfo,
): Promise<SecondProof | null> {
  const proved = await prove(services, { subject: secondStepSubject(identityId), identityId }, credential, clientInfo)
  return proved?.proof ?? null
}

/** `identityId` must own the passkey. When it is null the passkey names its owner, and user verification is required. */
async function prove(
  services: Services,
  { subject, identityId }: { subject: string; identityId: string | null },
  credential: string,
  clientInfo: ClientInfo,
): Promise<{ identityId: string; proof: SecondProof; signOuts: number } | null> {
  const response = readJson(credential, authentication) as AuthenticationResponseJSON | null
  if (response === null || !offersPasskeys(services)) return null
  const { pool } = services.storage
  const passkey = await findPasskeyByCredential(pool, response.id)
  if (passkey === null || !isRightPerson(passkey, identityId, response.response.userHandle ?? null)) return null
  const owner = await findIdentity(services.storage, passkey.identityId)
  if (owner === null) return null

  const { verifyAuthenticationResponse } = await import('@simplewebauthn/server')
  const proved = await answered(services, subject, async (expectations) =>
    verifyAuthenticationResponse({
      response,
      ...expectations,
      requireUserVerification: identityId === null,
      // The counter is a condition of the update below, where two processes cannot both find it in order.
      credential: { id: passkey.credentialId, publicKey: new Uint8Array(passkey.publicKey), counter: 0 },
    }),
  )
  if (proved === null) return null

  const { newCounter, credentialBackedUp, credentialDeviceType } = proved.authenticationInfo
  const now = services.clock()
  if (!(await advancePasskeyCounter(pool, passkey.id, newCounter, credentialBackedUp, now))) {
    await insertAuditEvents(
      pool,
      [{ kind: 'passkey_refused', identityId: owner.id, detail: passkey.name, ...clientInfo }],
      now,
    )
    return null
  }
  return { identityId: owner.id, proof: proofBy(credentialDeviceType), signOuts: owner.signOuts }
}

/** A key that may leave its device is one that software holds (RFC 8176 §2); whether it may is all that is known of it. */
function proofBy(deviceType: CredentialDeviceType): SecondProof {
  return [deviceType === 'singleDevice' ? 'hwk' : 'swk', 'user']
}

function isRightPerson(passkey: PasskeyRow, identityId: string | null, userHandle: string | null): boolean {
  if (identityId !== null && passkey.identityId !== identityId) return false
  // A passkey that is asked for by its id may leave the handle out (WebAuthn §7.2).
  return userHandle === null ? identityId !== null : userHandle === userHandleOf(passkey.identityId)
}

/** Verifies an answer that must be the first one to its challenge. A forged answer is refused before anything is stored. */
async function answered<T extends { verified: boolean }>(
  services: Services,
  subject: string,
  verify: (expectations: {
    expectedChallenge: (challenge: string) => boolean
    expectedOrigin: string[]
    expectedRPID: string
  }) => Promise<T>,
): Promise<T | null> {
  let challenge: string | null = null
  const result = await verify({
    expectedChallenge(given) {
      challenge = given
      return isLivingChallenge(services, given, subject)
    },
    expectedOrigin: [services.publicUrl, ...services.policy.relatedOrigins],
    expectedRPID: relyingPartyId(services),
    // The library throws a plain Error when anything is wrong with an answer, and uses no store.
  }).catch(() => null)
  if (result?.verified !== true || challenge === null) return null
  return (await markChallengeAnswered(services, challenge)) ? result : null
}

function requestOptions(
  services: Services,
  subject: string,
  userVerification: 'required' | 'preferred',
): PublicKeyCredentialRequestOptionsJSON {
  return {
    challenge: issueChallenge(services, subject),
    rpId: relyingPartyId(services),
    timeout: CHALLENGE_LIFE * 1000,
    userVerification,
  }
}

const SIGN_IN = 'sign-in'
const secondStepSubject = (identityId: string) => `second-step ${identityId}`
const enrolmentSubject = ({ id, identityId }: SignedInRow, ceremony: Enrolment) =>
  `enrolment ${identityId} ${id}${ceremony === 'second-step' ? '' : ` ${ceremony}`}`

function descriptorOf({ credentialId, transports }: PasskeyRow) {
  return { id: credentialId, type: 'public-key' as const, transports: transports as Transport[] }
}

type Transport = z.infer<typeof transport>

function relyingPartyId({ publicUrl }: Services): string {
  return new URL(publicUrl).hostname
}

/** The identity's id in bytes: it says nothing about the person (WebAuthn §14.6.1). */
function userHandleOf(identityId: string): string {
  return Buffer.from(identityId.replaceAll('-', ''), 'hex').toString('base64url')
}

/** Null for what is not JSON of this shape. */
function readJson<T>(text: string, shape: z.ZodType<T>): T | null {
  if (text.length > LONGEST_CREDENTIAL) return null
  try {
    return shape.safeParse(JSON.parse(text)).data ?? null
  } catch {
    return null
  }
}

const base64url = z.string().regex(/^[\w-]+$/)
const transport = z.enum(['ble', 'cable', 'hybrid', 'internal', 'nfc', 'smart-card', 'usb'])
const publicKeyCredential = z.object({
  id: base64url.max(2000),
  rawId: base64url,
  type: z.literal('public-key'),
  clientExtensionResults: z.record(z.string(), z.unknown()).default({}),
})
const attached = z.object({ authenticatorAttachment: z.string().nullish() })
const registration = publicKeyCredential.extend({
  // WebAuthn §10.1.3; what else a browser says there is not read.
  clientExtensionResults: z
    .object({ credProps: z.object({ rk: z.boolean().optional() }).optional() })
    .catch({})
    .default({}),
  response: z.object({
    clientDataJSON: base64url,
    attestationObject: base64url,
    // Unknown transports are dropped.
    transports: z
      .array(z.string())
      .max(20)
      .default([])
      .transform((names) => names.filter((name) => transport.safeParse(name).success)),
  }),
})
const authentication = publicKeyCredential.extend({
  response: z.object({
    clientDataJSON: base64url,
    authenticatorData: base64url,
    signature: base64url,
    userHandle: base64url.nullish(),
  }),
})
