import { createHash, createPrivateKey, createPublicKey, generateKeyPair, randomBytes, sign, verify } from 'node:crypto'
import type { JsonWebKey, KeyObject, KeyPairKeyObjectResult } from 'node:crypto'
import { promisify } from 'node:util'
import { insertAuditEvents, type Operator } from '../../storage/audit.ts'
import {
  deleteSigningKeys,
  ERASED,
  erasePrivateHalves,
  insertMissingSigningKeys,
  insertSigningKey,
  listSigningKeys,
  lockSigningKeys,
  markRevoked,
  type SigningKeyRow,
  updateEncryptedPrivate,
} from '../../storage/signing-keys.ts'
import { type Queryable, transaction } from '../../storage/postgres.ts'
import type { Storage } from '../../storage/storage.ts'
import { decryptWithAny, encrypt } from './encryption.ts'
import type { DerivedKeys, Secrets } from './secrets.ts'
import { Refused } from '../refused.ts'
import { addSeconds } from '../time.ts'

export const SIGNING_ALGS = ['ES256', 'RS256', 'EdDSA'] as const
export type SigningAlg = (typeof SIGNING_ALGS)[number]
/** The algorithm for the ID tokens of a new app: every client supports it by default (OpenID Connect Core §15.1). */
export const DEFAULT_ID_TOKEN_ALG: SigningAlg = 'RS256'

export interface VerificationKey {
  kid: string
  alg: SigningAlg
  publicKey: KeyObject
}

export interface SigningKey extends VerificationKey {
  privateKey: KeyObject
  signsFrom: Date
}

/** A new key is published this long before it signs (seconds), longer than clients may cache the JWKS. */
const PUBLISHED_BEFORE = 900
const FARTHEST_ROTATION = 365 * 86_400
/** The longest life of a token (seconds); a replaced key stays published for that long. */
export const LONGEST_TOKEN = 3600
/** How long an app may still show an ID token that a replaced key has signed (seconds): as long as the longest sign-in. */
const REMEMBERED = 400 * 86_400

/** The keys that sign and verify at a moment. They are shared by all processes through the database. */
export class KeyRing {
  #keys: SigningKey[] = []
  /** Public halves of replaced keys whose tokens have expired. */
  #retired: VerificationKey[] = []
  #revoked: string[] = []
  readonly #storage: Storage
  readonly #secrets: Secrets
  readonly #clock: () => Date

  readonly #mayRewrap: boolean

  private constructor(storage: Storage, secrets: Secrets, clock: () => Date, mayRewrap: boolean) {
    this.#mayRewrap = mayRewrap
    this.#storage = storage
    this.#secrets = secrets
    this.#clock = clock
  }

  /** Opens the ring, with a first key made for each algorithm that has none. @throws when no secret opens the stored keys. @param mayRewrap as of `everyProcessHas` */
  static async open(storage: Storage, secrets: Secrets, clock: () => Date, mayRewrap = true): Promise<KeyRing> {
    const known = new Set((await listSigningKeys(storage.pool)).map(({ alg }) => alg))
    const missing = SIGNING_ALGS.filter((alg) => !known.has(alg))
    if (missing.length > 0) {
      await insertMissingSigningKeys(
        storage,
        await Promise.all(missing.map(async (alg) => makeKey(alg, secrets[0], clock(), clock()))),
      )
    }
    const ring = new KeyRing(storage, secrets, clock, mayRewrap)
    await ring.reload()
    return ring
  }

  /** Names what it has loaded: it is another one as soon as a key is added or revoked. */
  id(): string {
    const kids = [...this.#keys, ...this.#retired].map(({ kid }) => kid).toSorted()
    return createHash('sha256')
      .update(JSON.stringify([kids, this.#revoked.toSorted()]))
      .digest('base64url')
  }

  /** Reads keys that another process has added, and erases the private half of keys whose last token has expired. */
  async reload(): Promise<void> {
    const rows = await listSigningKeys(this.#storage.pool)
    const known = new Map(this.#keys.map((key) => [key.kid, key]))
    const retired = new Map(this.#retired.map((key) => [key.kid, key]))
    const [good, revoked] = [rows.filter((row) => row.revokedAt === null), rows.filter((row) => row.revokedAt !== null)]
    const whole = good.filter((row) => row.encryptedPrivate !== ERASED)
    this.#keys = await Promise.all(whole.map(async (row) => known.get(row.kid) ?? this.#open(row)))
    this.#retired = good
      .filter((row) => row.encryptedPrivate === ERASED)
      .map((row) => retired.get(row.kid) ?? publicHalf(row))
    this.#revoked = revoked.map((row) => row.kid)

    const replaced = this.#keys.filter((key) => !this.#isPublished(key)).map((key) => key.kid)
    if (replaced.length > 0) await erasePrivateHalves(this.#storage, replaced)
    const forgotten = rows.filter((row) => isReplaced(row, rows, REMEMBERED, this.#clock())).map((row) => row.kid)
    if (forgotten.length > 0) await deleteSigningKeys(this.#storage, forgotten)
  }

  /**
   * Publishes the next keys at once; they sign as soon as every cache of the published keys must know them, or from a later time
   * on. @throws Refused for a time that is too early, or more than a year away
   */
  async rotate(operator: Operator | null = null, later: Date | null = null): Promise<SigningKey[]> {
    const now = this.#clock()
    const soonest = addSeconds(now, PUBLISHED_BEFORE)
    const signsFrom = later ?? soonest
    if (signsFrom < soonest || signsFrom > addSeconds(now, FARTHEST_ROTATION))
      throw new Refused(`new keys sign from ${PUBLISHED_BEFORE / 60} minutes to a year from now`)
    await transaction(this.#storage.pool, async (db) => {
      await lockSigningKeys(db)
      await this.#publish(db, SIGNING_ALGS, signsFrom, now, operator)
    })
    await this.reload()
    return this.#keys.filter((key) => key.signsFrom > now)
  }

  /**
   * Scheduled rotation: publishes the next key of each algorithm whose key has signed for this long (seconds), a little before, so
   * that the next one signs from then on. However many processes try, each key is made once. After a longer stop keys are published
   * late, and never sign before they were published long enough. @returns the ids of new keys
   */
  async rotateWhenDue(period: number): Promise<string[]> {
    // Usually nothing is due, and then no statement is sent.
    if (dueAlgs(this.#keys, period, this.#clock()).length === 0) return []
    const published = await transaction(this.#storage.pool, async (db) => {
      await lockSigningKeys(db)
      const now = this.#clock()
      const rows = (await listSigningKeys(db)).filter((row) => row.revokedAt === null)
      const due = dueAlgs(rows, period, now)
      return due.length === 0 ? [] : this.#publish(db, due, addSeconds(now, PUBLISHED_BEFORE), now, null)
    })
    await this.reload()
    return published
  }

  async #publish(db: Queryable, algs: readonly SigningAlg[], signsFrom: Date, now: Date, actor: Operator | null) {
    const next = await Promise.all(algs.map(async (alg) => makeKey(alg, this.#secrets[0], now, signsFrom)))
    for (const key of next) await insertSigningKey(db, key)
    const kids = next.map(({ kid }) => kid)
    await insertAuditEvents(db, [{ kind: 'signing_keys_rotated', detail: kids.join(' '), actor }], now)
    return kids
  }

  /**
   * Revokes a key for good, such as one whose private half was leaked: no token that it signed is valid any more. The key that
   * signs now is replaced by one that signs at once, so that no algorithm is without a key; a published next key by another next.
   */
  async revoke(kid: string, operator: Operator | null = null): Promise<Revocation> {
    const revocation = await transaction(this.#storage.pool, async (db) => this.#revokeIn(db, kid, operator))
    await this.reload()
    return revocation
  }

  async #revokeIn(db: Queryable, kid: string, operator: Operator | null): Promise<Revocation> {
    await lockSigningKeys(db)
    const now = this.#clock()
    const rows = await listSigningKeys(db)
    const key = rows.find((row) => row.kid === kid)
    if (key === undefined) return { kind: 'unknown' }
    if (key.revokedAt !== null) return { kind: 'revoked-before' }

    const alg = key.alg as SigningAlg
    const whole = rows.filter((row) => row.alg === alg && row.encryptedPrivate !== ERASED)
    const signer = signerOf(whole, now)
    const isNeeded = signer !== undefined && whole.includes(key) && key.signsFrom >= signer.signsFrom
    const signsFrom = key === signer ? now : addSeconds(now, PUBLISHED_BEFORE)
    const replacement = isNeeded ? await makeKey(alg, this.#secrets[0], now, signsFrom) : null
    await markRevoked(db, kid, now)
    if (replacement !== null) await insertSigningKey(db, replacement)
    await insertAuditEvents(db, [{ kind: 'signing_key_revoked', detail: kid, actor: operator }], now)
    return { kind: 'revoked', replacement: replacement?.kid ?? null, signsFrom: replacement?.signsFrom ?? null }
  }

  /**
   * Every key there was for more than a year, as operators see it, the newest first. @param period that of scheduled rotation
   * (seconds); null for none
   */
  async list(period: number | null): Promise<ListedKey[]> {
    const now = this.#clock()
    const rows = await listSigningKeys(this.#storage.pool)
    const good = rows.filter((row) => row.revokedAt === null)
    return rows.toReversed().map((row) => {
      const { kid, createdAt, signsFrom, revokedAt } = row
      const alg = row.alg as SigningAlg
      const ofAlg = good.filter((other) => other.alg === alg)
      const next = ofAlg.find((other) => other.signsFrom > signsFrom)
      const tokensUntil = revokedAt === null && next !== undefined ? addSeconds(next.signsFrom, LONGEST_TOKEN) : null
      const state = (): KeyState => {
        if (revokedAt !== null) return 'revoked'
        if (row === signerOf(ofAlg, now)) return 'signing'
        if (signsFrom > now) return 'next'
        return tokensUntil !== null && tokensUntil > now ? 'retiring' : 'retired'
      }
      const isNewest = period !== null && row === newestBy(ofAlg, horizonOf(period, now))
      const rotatesAt = isNewest ? addSeconds(signsFrom, period - PUBLISHED_BEFORE) : null
      return { kid, alg, createdAt, signsFrom, revokedAt, tokensUntil, rotatesAt, state: state() }
    })
  }

  /** The key that signs now: the newest whose time has come, or the first, made by a clock a little ahead of ours. */
  signer(alg: SigningAlg): SigningKey {
    const now = this.#clock()
    const keys = this.#keys.filter((candidate) => candidate.alg === alg)
    const key = signerOf(keys, now)
    if (key === undefined) throw new Error(`there is no ${alg} key`)
    return key
  }

  /** Everything a verifier must know now; the keys that sign come first. */
  published(): SigningKey[] {
    const signers = SIGNING_ALGS.map((alg) => this.signer(alg))
    const others = this.#keys.filter((key) => !signers.includes(key) && this.#isPublished(key))
    return [...signers, ...others]
  }

  /** The ids of keys that were revoked, the oldest first. */
  revoked(): readonly string[] {
    return this.#revoked
  }

  /** Every key, also those that are no longer published. For hints only: no token that authenticates may be verified with them. */
  remembered(): VerificationKey[] {
    return [...this.#keys, ...this.#retired]
  }

  #isPublished(key: SigningKey): boolean {
    return !isReplaced(key, this.#keys, LONGEST_TOKEN, this.#clock())
  }

  async #open(row: SigningKeyRow): Promise<SigningKey> {
    const encryptionKeys = this.#secrets.map((keys) => keys.signingKeyEncryption)
    const opened = decryptWithAny(row.encryptedPrivate, row.kid, encryptionKeys)
    if (opened === null)
      throw new Error(
        'GATEHOUSE_SECRET does not open the signing keys in this database: put the secret they were made under back, after a comma',
      )
    const { plaintext: pem, isOutdated } = opened
    // An older secret may be taken away as soon as nothing is encrypted under it any more.
    if (isOutdated && this.#mayRewrap) {
      const to = encryptPem(pem, row.kid, this.#secrets[0])
      await updateEncryptedPrivate(this.#storage.pool, row.kid, { from: row.encryptedPrivate, to })
    }
    const privateKey = createPrivateKey(pem)
    return {
      kid: row.kid,
      alg: row.alg as SigningAlg,
      privateKey,
      publicKey: createPublicKey(privateKey),
      signsFrom: row.signsFrom,
    }
  }
}

/**
 * `next`: published, and signs later. `retiring`: replaced, and its last tokens are alive. `retired`: they have expired; it only
 * tells which app an old ID token was for.
 */
export type KeyState = 'next' | 'signing' | 'retiring' | 'retired' | 'revoked'

export interface ListedKey extends Pick<SigningKeyRow, 'kid' | 'createdAt' | 'signsFrom' | 'revokedAt'> {
  alg: SigningAlg
  state: KeyState
  /** When the last token that it signed expires; null while no other key is to replace it, and for a revoked key. */
  tokensUntil: Date | null
  /** When scheduled rotation publishes the key after it; null when there is such a key, and without a schedule. */
  rotatesAt: Date | null
}

/** The outcome of revoking a key. */
export type Revocation =
  | { kind: 'unknown' | 'revoked-before' }
  /** `replacement` is the id of the new key; null when the revoked one no longer signed. */
  | { kind: 'revoked'; replacement: string | null; signsFrom: Date | null }

/** The key that signs now, of `keys` in the order in which they sign. */
function signerOf<Key extends { signsFrom: Date }>(keys: Key[], now: Date): Key | undefined {
  return keys.findLast((candidate) => candidate.signsFrom <= now) ?? keys[0]
}

/** The newest of the keys that sign by then. */
function newestBy<Key extends { signsFrom: Date }>(keys: Key[], then: Date): Key | undefined {
  return keys.findLast((candidate) => candidate.signsFrom <= then)
}

/** A key that signs until then, in a tenth of the period of rotation (seconds), takes the place of one that would be published now. */
function horizonOf(period: number, now: Date): Date {
  return addSeconds(now, Math.max(PUBLISHED_BEFORE, period / 10))
}

/** The algorithms whose next key is to be published. When one of them is due, those that soon will be go along. */
function dueAlgs(keys: Turn[], period: number, now: Date): SigningAlg[] {
  const dueBy = (then: Date) =>
    SIGNING_ALGS.filter((alg) => {
      const newest = newestBy(
        keys.filter((key) => key.alg === alg),
        horizonOf(period, now),
      )
      return newest !== undefined && addSeconds(newest.signsFrom, period - PUBLISHED_BEFORE) <= then
    })
  return dueBy(now).length === 0 ? [] : dueBy(addSeconds(now, period / 10))
}

type Turn = Pick<SigningKeyRow, 'alg' | 'signsFrom'>

/** Whether another of `keys`, in the order in which they sign, has taken over from this one that long ago. */
function isReplaced(key: Turn, keys: Turn[], seconds: number, now: Date): boolean {
  const next = keys.find((other) => other.alg === key.alg && other.signsFrom > key.signsFrom)
  return next !== undefined && addSeconds(next.signsFrom, seconds) <= now
}

function publicHalf({ kid, alg, publicJwk }: SigningKeyRow): VerificationKey {
  const publicKey = createPublicKey({ key: JSON.parse(publicJwk) as JsonWebKey, format: 'jwk' })
  return { kid, alg: alg as SigningAlg, publicKey }
}

/** A JWS signature (RFC 7518 §3, RFC 8037 §3.1), synchronous: a short one is made sooner than handed to another thread. */
export function signWith(key: SigningKey, data: string | Uint8Array): Buffer {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data
  const signature = sign(digestOf(key), bytes, key.privateKey)
  return key.alg === 'ES256' ? rawOf(signature) : signature
}

/** The same; an RSA signature, which takes ten times as long, is made in libuv's pool, where passwords leave a thread free. */
export async function signInBackground(key: SigningKey, data: string | Uint8Array): Promise<Buffer> {
  if (key.alg !== 'RS256') return signWith(key, data)
  return signAsync(digestOf(key), typeof data === 'string' ? Buffer.from(data) : data, key.privateKey)
}

const signAsync = promisify<string | null, Uint8Array, KeyObject, Buffer>(sign)

/** Ed25519 hashes by itself. */
function digestOf({ alg }: VerificationKey): string | null {
  return alg === 'EdDSA' ? null : 'sha256'
}

/**
 * DER's two integers as the 64 bytes of RFC 7518 §3.4. Node 24 takes more than twice as long when it is asked for this
 * form itself (`dsaEncoding: 'ieee-p1363'`).
 */
function rawOf(der: Buffer): Buffer {
  const raw = Buffer.alloc(64)
  let offset = 2
  for (const end of [32, 64]) {
    const length = der[offset + 1] as number
    const integer = der.subarray(offset + 2, offset + 2 + length)
    // A leading zero keeps an integer positive; short integers are padded on the left.
    const digits = integer.length > 32 ? integer.subarray(integer.length - 32) : integer
    digits.copy(raw, end - digits.length)
    offset += 2 + length
  }
  return raw
}

/** Whether a JWS signature (RFC 7518 §3; of ES256 64 bytes) is this key's. */
export function verifiesWith(key: VerificationKey, data: string, raw: Buffer): boolean {
  const { alg, publicKey } = key
  if (alg === 'ES256') return raw.length === 64 && verify('sha256', Buffer.from(data), publicKey, derOf(raw))
  return verify(digestOf(key), Buffer.from(data), publicKey, raw)
}

/** The other way round, for the same reason. */
function derOf(raw: Buffer): Buffer {
  const integers = [raw.subarray(0, 32), raw.subarray(32)].flatMap((integer) => {
    const start = integer.findIndex((byte) => byte !== 0)
    const digits = start === -1 ? integer.subarray(31) : integer.subarray(start)
    const padded = (digits[0] as number) < 0x80 ? digits : Buffer.concat([Buffer.of(0), digits])
    return [Buffer.of(0x02, padded.length), padded]
  })
  const body = Buffer.concat(integers)
  return Buffer.concat([Buffer.of(0x30, body.length), body])
}

async function makeKey(alg: SigningAlg, keys: DerivedKeys, createdAt: Date, signsFrom: Date): Promise<SigningKeyRow> {
  const { privateKey, publicKey } = await generatePair(alg)
  const kid = randomBytes(12).toString('base64url')
  const publicJwk: JsonWebKey = publicKey.export({ format: 'jwk' })
  const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()
  return {
    kid,
    alg,
    publicJwk: JSON.stringify(publicJwk),
    encryptedPrivate: encryptPem(pem, kid, keys),
    createdAt,
    signsFrom,
    revokedAt: null,
  }
}

/** In another thread: an RSA key takes long, and requests must not wait for it. */
async function generatePair(alg: SigningAlg): Promise<KeyPairKeyObjectResult> {
  const generate = promisify(generateKeyPair)
  switch (alg) {
    case 'ES256':
      return generate('ec', { namedCurve: 'P-256' })
    case 'RS256':
      return generate('rsa', { modulusLength: 2048 })
    case 'EdDSA':
      return generate('ed25519')
  }
}

function encryptPem(pem: string, kid: string, keys: DerivedKeys): string {
  return encrypt(pem, kid, keys.signingKeyEncryption)
}
