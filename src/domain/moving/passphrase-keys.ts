import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto'
import { promisify } from 'node:util'
import { type Identity, type Recipient, Stanza } from 'age-encryption'

/** The binary logarithm of the cost of a guess, the preset of age: 256 MB, and about a second. */
const WORK_FACTOR = 18
/** A file that asks for more is refused, because it could exhaust the memory. */
const MOST_WORK = 20
const LABEL = 'age-encryption.org/v1/scrypt'
const NONCE = Buffer.alloc(12)
const TAG_BYTES = 16

/**
 * The scrypt recipient of age (C2SP age.md): a key derived from a passphrase encrypts the key of the file. It is that of the age
 * package but for the derivation, which is OpenSSL's: it takes half the time, in another thread, and once for a file that is read
 * twice.
 */
export class PassphraseKey implements Recipient, Identity {
  readonly #passphrase: string
  readonly #derived = new Map<string, Promise<Buffer>>()

  constructor(passphrase: string) {
    this.#passphrase = passphrase
  }

  async wrapFileKey(fileKey: Uint8Array): Promise<Stanza[]> {
    const salt = base64(randomBytes(16))
    const cipher = createCipheriv('chacha20-poly1305', await this.#derive(salt, WORK_FACTOR), NONCE, {
      authTagLength: TAG_BYTES,
    })
    const body = Buffer.concat([cipher.update(fileKey), cipher.final(), cipher.getAuthTag()])
    return [new Stanza(['scrypt', salt, String(WORK_FACTOR)], body)]
  }

  /** Null for a wrong passphrase, and for a file that was encrypted in another way. */
  async unwrapFileKey(stanzas: Stanza[]): Promise<Uint8Array | null> {
    const [stanza, ...others] = stanzas
    if (stanza === undefined || others.length > 0) return null
    const [kind, salt = '', work = '', ...more] = stanza.args
    const isOurs = kind === 'scrypt' && /^[\w+/]{22}$/.test(salt) && /^[1-9]\d?$/.test(work) && more.length === 0
    if (!isOurs || Number(work) > MOST_WORK || stanza.body.length !== 16 + TAG_BYTES) return null
    const decipher = createDecipheriv('chacha20-poly1305', await this.#derive(salt, Number(work)), NONCE, {
      authTagLength: TAG_BYTES,
    })
    decipher.setAuthTag(stanza.body.subarray(16))
    try {
      return Buffer.concat([decipher.update(stanza.body.subarray(0, 16)), decipher.final()])
    } catch {
      return null
    }
  }

  async #derive(salt: string, work: number): Promise<Buffer> {
    const name = `${salt} ${work}`
    let key = this.#derived.get(name)
    if (key === undefined) {
      const [N, r] = [2 ** work, 8]
      const input = Buffer.concat([Buffer.from(LABEL), Buffer.from(salt, 'base64')])
      key = deriveKey(this.#passphrase, input, 32, { N, r, p: 1, maxmem: 130 * N * r })
      this.#derived.set(name, key)
    }
    return key
  }
}

const deriveKey = promisify<string, Buffer, number, { N: number; r: number; p: number; maxmem: number }, Buffer>(scrypt)

/** Without padding. */
function base64(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('=', '')
}
