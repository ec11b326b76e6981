import { createHmac, randomUUID } from 'node:crypto'
import { generateURI, ScureBase32Plugin, verifySync } from 'otplib'
import { advanceTotpStep, listTotpKeys, type TotpKeyRow } from '../../storage/totp-keys.ts'
import { decryptWithAny, encrypt } from '../keys/encryption.ts'
import type { SignedInRow } from './identity-sessions.ts'
import type { Services } from '../services.ts'
import { epochSeconds } from '../time.ts'

/** TOTP (RFC 6238): six digits that change every thirty seconds, by SHA-1, which every authenticator app supports. */
const ALGORITHM = { algorithm: 'sha1', digits: 6, period: 30 } as const
const KEY_BYTES = 20
const BASE32 = new ScureBase32Plugin()
/** A clock may be one step off in either direction (RFC 6238 §5.2). */
const TOLERANCE = ALGORITHM.period

/** A key that was taken is remembered longer (seconds) than any sign-in is fresh enough to be shown it. */
const TAKEN_FOR = 86_400
const TAKEN_KIND = 'TotpKeyTaken'

/** The key on its way into an authenticator app. */
export interface TotpEnrolment {
  /** In Base32, in groups of four, to type. */
  key: string
  /** What a QR code says: `otpauth://…`. */
  uri: string
}

/**
 * The key that a user puts into their authenticator app. It is computed from the identity session, so every load of the page
 * shows the same, and it is not stored before a code has proved it. The next sign-in has another.
 */
export async function beginTotpEnrolment(services: Services, signedIn: SignedInRow): Promise<TotpEnrolment> {
  const { secret } = await findUnproved(services, signedIn)
  // An app shows the issuer beside the user name. A colon separates the two, so neither may hold one.
  const issuer = services.brand.name.replaceAll(/\s*:\s*/g, ' ')
  return {
    key: (secret.match(/.{1,4}/g) ?? []).join(' '),
    uri: generateURI({ ...ALGORITHM, issuer, label: signedIn.username, secret }),
  }
}

export type TotpProof =
  | { kind: 'proved'; key: Omit<TotpKeyRow, 'name' | 'lastUsedAt'> }
  | { kind: 'wrong-code' }
  /** A faster request has just proved the same key. */
  | { kind: 'lost' }

/** Checks the first code of a key, and uses it up. Of requests that race, one gets the key. */
export async function proveTotpEnrolment(services: Services, signedIn: SignedInRow, code: string): Promise<TotpProof> {
  const { secret, name } = await findUnproved(services, signedIn)
  const lastStep = stepOf(services, secret, code)
  if (lastStep === null) return { kind: 'wrong-code' }

  if (!(await services.storage.protocolRecords.putOnce(TAKEN_KIND, name, {}, TAKEN_FOR))) return { kind: 'lost' }
  const id = randomUUID()
  const encryptedSecret = encrypt(secret, id, services.secrets[0].totpKeyEncryption)
  return {
    kind: 'proved',
    key: { id, identityId: signedIn.identityId, encryptedSecret, lastStep, createdAt: services.clock() },
  }
}

/** Accepts a code of one of the user's keys once, in all processes: it uses up its time step and every earlier one. */
export async function acceptTotpCode(services: Services, identityId: string, code: string): Promise<boolean> {
  const { pool } = services.storage
  for (const key of await listTotpKeys(pool, identityId)) {
    const opened = openSecret(services, key)
    const step = opened === null ? null : stepOf(services, opened.plaintext, code)
    if (opened === null || step === null) continue
    const encryptedSecret = opened.isOutdated
      ? encrypt(opened.plaintext, key.id, services.secrets[0].totpKeyEncryption)
      : key.encryptedSecret
    if (await advanceTotpStep(pool, key.id, step, encryptedSecret, services.clock())) return true
  }
  return false
}

/** The first key of this sign-in that is not taken yet. */
async function findUnproved(services: Services, { id }: SignedInRow): Promise<{ secret: string; name: string }> {
  for (let number = 0; ; number++) {
    const name = `${id} ${number}`
    if ((await services.storage.protocolRecords.find(TAKEN_KIND, name)) !== null) continue
    const bytes = createHmac('sha256', services.secrets[0].totpEnrolment).update(name).digest().subarray(0, KEY_BYTES)
    return { secret: BASE32.encode(bytes), name }
  }
}

function openSecret(services: Services, { id, encryptedSecret }: Pick<TotpKeyRow, 'id' | 'encryptedSecret'>) {
  const keys = services.secrets.map(({ totpKeyEncryption }) => totpKeyEncryption)
  return decryptWithAny(encryptedSecret, id, keys)
}

/** The step a code belongs to; null for anything that is not a code of this key, now. */
function stepOf(services: Services, secret: string, code: string): number | null {
  if (!/^\d{6}$/.test(code)) return null
  const epoch = epochSeconds(services.clock())
  const result = verifySync({ ...ALGORITHM, secret, token: code, epoch, epochTolerance: TOLERANCE })
  return result.valid && 'timeStep' in result ? result.timeStep : null
}
