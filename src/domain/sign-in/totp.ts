import { createHmac, randomUUID } from 'node:crypto'
import { createGuardrails, generateURI, ScureBase32Plugin, verifySync } from 'otplib'
import { advanceTotpStep, listTotpKeys, type NewTotpKey, type TotpKeyRow } from '../../storage/totp-keys.ts'
import { decryptWithAny, encrypt } from '../keys/encryption.ts'
import type { DerivedKeys } from '../keys/secrets.ts'
import type { SignedInRow } from './identity-sessions.ts'
import type { Services } from '../services.ts'
import { epochSeconds } from '../time.ts'

/** TOTP (RFC 6238): six digits that change every thirty seconds, by SHA-1, which every authenticator app supports. */
const ALGORITHM = { algorithm: 'sha1', digits: 6, period: 30 } as const
const KEY_BYTES = 20
/** Keys of other systems are shorter than RFC 4226 asks for (16): many have 10. */
const LEAST_BYTES = 10
const MOST_BYTES = 64
const GUARDRAILS = createGuardrails({ MIN_SECRET_BYTES: LEAST_BYTES })
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
  const secret = unprovedKey(await findUnproved(services, signedIn), services.secrets[0])
  // An app shows the issuer beside the user name. A colon separates the two, so neither may hold one.
  const issuer = services.brand.name.replaceAll(/\s*:\s*/g, ' ')
  return {
    key: (secret.match(/.{1,4}/g) ?? []).join(' '),
    uri: generateURI({ ...ALGORITHM, issuer, label: signedIn.username, secret }),
  }
}

export type TotpProof =
  | { kind: 'proved'; key: Omit<NewTotpKey, 'name'> }
  | { kind: 'wrong-code' }
  /** A faster request has just proved the same key. */
  | { kind: 'lost' }

/** Checks the first code of a key, and uses it up. Of requests that race, one gets the key. */
export async function proveTotpEnrolment(services: Services, signedIn: SignedInRow, code: string): Promise<TotpProof> {
  const name = await findUnproved(services, signedIn)
  // The page may be of a process whose first secret is another one.
  const proved = services.secrets.flatMap((keys) => {
    const secret = unprovedKey(name, keys)
    const lastStep = stepOf(services, secret, code)
    return lastStep === null ? [] : [{ secret, lastStep }]
  })[0]
  if (proved === undefined) return { kind: 'wrong-code' }
  const { secret, lastStep } = proved

  if (!(await services.storage.protocolRecords.putOnce(TAKEN_KIND, name, {}, TAKEN_FOR))) return { kind: 'lost' }
  const id = randomUUID()
  const encryptedSecret = encrypt(secret, id, services.secrets[0].totpKeyEncryption)
  return {
    kind: 'proved',
    key: { id, identityId: signedIn.identityId, encryptedSecret, lastStep, createdAt: services.clock() },
  }
}

/** A key that an authenticator app got from another system, in Base32 as it is kept; null for what is none. */
export function readTotpSecret(base32: string): string | null {
  const plain = base32.replaceAll(/[\s-]/g, '').replace(/=+$/, '').toUpperCase()
  if (!/^[A-Z2-7]+$/.test(plain)) return null
  try {
    const { length } = BASE32.decode(plain)
    return length >= LEAST_BYTES && length <= MOST_BYTES ? plain : null
  } catch {
    return null
  }
}

/** The factor of a key from another system, which needs no proof: its user has signed in with it there. */
export function totpKeyOf(services: Services, identityId: string, secret: string, name: string, now: Date): NewTotpKey {
  const id = randomUUID()
  const encryptedSecret = encrypt(secret, id, services.secrets[0].totpKeyEncryption)
  return { id, identityId, name, encryptedSecret, lastStep: 0, createdAt: now }
}

/** Accepts a code of one of the user's keys once, in all processes: it uses up its time step and every earlier one. */
export async function acceptTotpCode(services: Services, identityId: string, code: string): Promise<boolean> {
  const { pool } = services.storage
  for (const key of await listTotpKeys(pool, identityId)) {
    const opened = openSecret(services, key)
    if (opened === null)
      services.logger.error(
        { identityId, totpKeyId: key.id },
        'an authenticator app was stored under a root secret that GATEHOUSE_SECRET lacks, so none of its codes is accepted',
      )
    const step = opened === null ? null : stepOf(services, opened.plaintext, code)
    if (opened === null || step === null) continue
    const encryptedSecret = opened.isOutdated
      ? encrypt(opened.plaintext, key.id, services.secrets[0].totpKeyEncryption)
      : key.encryptedSecret
    if (await advanceTotpStep(pool, key.id, step, encryptedSecret, services.clock())) return true
  }
  return false
}

/** The name of the first key of this sign-in that is not taken yet. */
async function findUnproved(services: Services, { id }: SignedInRow): Promise<string> {
  for (let number = 0; ; number++) {
    const name = `${id} ${number}`
    if ((await services.storage.protocolRecords.find(TAKEN_KIND, name)) === null) return name
  }
}

function unprovedKey(name: string, { totpEnrolment }: DerivedKeys): string {
  return BASE32.encode(createHmac('sha256', totpEnrolment).update(name).digest().subarray(0, KEY_BYTES))
}

function openSecret(services: Services, { id, encryptedSecret }: Pick<TotpKeyRow, 'id' | 'encryptedSecret'>) {
  const keys = services.secrets.map(({ totpKeyEncryption }) => totpKeyEncryption)
  return decryptWithAny(encryptedSecret, id, keys)
}

/** The step a code belongs to; null for anything that is not a code of this key, now. */
function stepOf(services: Services, secret: string, code: string): number | null {
  if (!/^\d{6}$/.test(code)) return null
  const epoch = epochSeconds(services.clock())
  const result = verifySync({
    ...ALGORITHM,
    secret,
    token: code,
    epoch,
    epochTolerance: TOLERANCE,
    guardrails: GUARDRAILS,
  })
  return result.valid && 'timeStep' in result ? result.timeStep : null
}
