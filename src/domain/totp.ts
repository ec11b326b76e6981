import { randomUUID } from 'node:crypto'
import { generateSecret, generateURI, verifySync } from 'otplib'
import { advanceTotpStep, listTotpKeys, type TotpKeyRow } from '../storage/totp-keys.ts'
import { decryptWithAny, encrypt } from './encryption.ts'
import type { SignedInRow } from './identity-sessions.ts'
import type { Portal } from './portal.ts'
import { epochSeconds } from './time.ts'

/** Six figures that change every thirty seconds, by SHA-1: what every authenticator app knows (RFC 6238). */
const ALGORITHM = { algorithm: 'sha1', digits: 6, period: 30 } as const
const KEY_BYTES = 20
/** A clock may be one step off in either direction (RFC 6238 §5.2). */
const TOLERANCE = ALGORITHM.period

/** How long a key may wait for the code that proves it (seconds). */
const ENROLMENT_LIFE = 900
const ENROLMENT_KIND = 'TotpEnrolment'

/** The key on its way into an authenticator app. */
export interface TotpEnrolment {
  /** In Base32, in groups of four, to type. */
  key: string
  /** What a QR code says: `otpauth://…`. */
  uri: string
}

interface UnprovedKey {
  id: string
  identityId: string
  encryptedSecret: string
}

/**
 * A key for somebody to put into their app. It is one and the same, however often the page is read, until it is proved or
 * a quarter of an hour is over; no account has it before.
 */
export async function beginTotpEnrolment(portal: Portal, signedIn: SignedInRow): Promise<TotpEnrolment> {
  const unproved = await findUnproved(portal, signedIn)
  if (unproved !== null) return inWords(portal, signedIn, unproved.secret)

  const secret = generateSecret({ length: KEY_BYTES })
  const id = randomUUID()
  const encryptedSecret = encrypt(secret, id, portal.secrets[0].totpKeyEncryption)
  const payload: UnprovedKey = { id, identityId: signedIn.identityId, encryptedSecret }
  await portal.storage.handshakes.put(ENROLMENT_KIND, signedIn.id, payload, ENROLMENT_LIFE)
  return inWords(portal, signedIn, secret)
}

export type TotpProof =
  | { kind: 'proved'; key: Omit<TotpKeyRow, 'name' | 'lastUsedAt'> }
  | { kind: 'wrong-code' }
  /** Nobody is putting a key into an app in this browser any more. */
  | { kind: 'lost' }

/** Checks the first code of a key. The code is used up by it, and of callers that race one gets the key. */
export async function proveTotpEnrolment(portal: Portal, signedIn: SignedInRow, code: string): Promise<TotpProof> {
  const unproved = await findUnproved(portal, signedIn)
  if (unproved === null) return { kind: 'lost' }
  const lastStep = stepOf(portal, unproved.secret, code)
  if (lastStep === null) return { kind: 'wrong-code' }

  const { handshakes } = portal.storage
  if (!(await handshakes.consume(ENROLMENT_KIND, signedIn.id))) return { kind: 'lost' }
  await handshakes.delete(ENROLMENT_KIND, signedIn.id)
  const { id, identityId, encryptedSecret } = unproved
  return { kind: 'proved', key: { id, identityId, encryptedSecret, lastStep, createdAt: portal.clock() } }
}

/** Uses up the step of a code, and every earlier one with it: true once, on whatever process, for one of the person's keys. */
export async function acceptTotpCode(portal: Portal, identityId: string, code: string): Promise<boolean> {
  const { pool } = portal.storage
  for (const key of await listTotpKeys(pool, identityId)) {
    const opened = openSecret(portal, key)
    const step = opened === null ? null : stepOf(portal, opened.plaintext, code)
    if (opened === null || step === null) continue
    const encryptedSecret = opened.isOutdated
      ? encrypt(opened.plaintext, key.id, portal.secrets[0].totpKeyEncryption)
      : key.encryptedSecret
    if (await advanceTotpStep(pool, key.id, step, encryptedSecret, portal.clock())) return true
  }
  return false
}

async function findUnproved(portal: Portal, signedIn: SignedInRow): Promise<(UnprovedKey & { secret: string }) | null> {
  const found = await portal.storage.handshakes.find(ENROLMENT_KIND, signedIn.id)
  if (found === null || found.consumed) return null
  const unproved = found.payload as unknown as UnprovedKey
  const opened = openSecret(portal, unproved)
  if (opened === null || unproved.identityId !== signedIn.identityId) return null
  return { ...unproved, secret: opened.plaintext }
}

function openSecret(portal: Portal, { id, encryptedSecret }: Pick<TotpKeyRow, 'id' | 'encryptedSecret'>) {
  const keys = portal.secrets.map(({ totpKeyEncryption }) => totpKeyEncryption)
  return decryptWithAny(encryptedSecret, id, keys)
}

/** The step a code belongs to; null for anything that is not a code of this key, now. */
function stepOf(portal: Portal, secret: string, code: string): number | null {
  if (!/^\d{6}$/.test(code)) return null
  const epoch = epochSeconds(portal.clock())
  const result = verifySync({ ...ALGORITHM, secret, token: code, epoch, epochTolerance: TOLERANCE })
  return result.valid && 'timeStep' in result ? result.timeStep : null
}

/** An app shows the issuer beside the user name; neither may hold a colon, so the port stays away. */
function inWords(portal: Portal, { username }: SignedInRow, secret: string): TotpEnrolment {
  const issuer = new URL(portal.publicUrl).hostname
  return {
    key: (secret.match(/.{1,4}/g) ?? []).join(' '),
    uri: generateURI({ ...ALGORITHM, issuer, label: username, secret }),
  }
}
