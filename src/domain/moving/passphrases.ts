import { readFile } from 'node:fs/promises'
import { Decrypter, Encrypter } from 'age-encryption'
import { BREACHED_PASSWORDS, isBreached } from '../passwords/breached-passwords.ts'
import { Refused } from '../refused.ts'
import type { PassphraseKey } from './passphrase-keys.ts'

/** The fewest characters of a passphrase. A file can be attacked offline, so it needs more than a password does. */
const SHORTEST = 12
/** Different characters that it has at least. */
const FEWEST_DIFFERENT = 6

/** @throws Refused for a passphrase that is quickly guessed */
export async function checkPassphrase(passphrase: string): Promise<void> {
  const characters = [...passphrase]
  if (characters.length < SHORTEST)
    throw new Refused(`GATEHOUSE_EXPORT_PASSPHRASE must have at least ${SHORTEST} characters`)
  if (new Set(characters).size < FEWEST_DIFFERENT || isBreached(await readFile(BREACHED_PASSWORDS), passphrase))
    throw new Refused('GATEHOUSE_EXPORT_PASSPHRASE is too easy to guess: try `openssl rand -base64 24`')
}

/** Encrypts with a passphrase, in the age format (scrypt, ChaCha20-Poly1305), as it is read. */
export async function encryptWith(
  key: PassphraseKey,
  plaintext: ReadableStream<Uint8Array>,
): Promise<ReadableStream<Uint8Array>> {
  const encrypter = new Encrypter()
  encrypter.addRecipient(key)
  return encrypter.encrypt(plaintext)
}

const BEGINNING = 'age-encryption.org/v1\n'

/**
 * Decrypts what `encryptWith` has made, as it is read. Every piece is authenticated before it comes out, and the last one is marked.
 * @throws Refused when the passphrase is wrong, or it is not what was made; and what `ciphertext` throws
 */
export async function* decryptWith(
  key: PassphraseKey,
  ciphertext: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const decrypter = new Decrypter()
  decrypter.addIdentity(key)
  const source: Source = { error: null }
  try {
    yield* await decrypter.decrypt(ReadableStream.from(noting(source, ciphertext)))
  } catch (error) {
    if (source.error !== null) throw source.error
    throw new Refused(
      /no identity matched/.test((error as Error).message)
        ? 'GATEHOUSE_EXPORT_PASSPHRASE is not the passphrase of this file, or the file is damaged'
        : 'the file is incomplete or damaged',
    )
  }
}

/** Why reading the source failed; null while it did not. */
interface Source {
  error: Error | null
}

/** Passes on what is read, and notes why reading it failed. Of what is no age file only the beginning is read. */
async function* noting(source: Source, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let beginning = Buffer.alloc(0)
  try {
    for await (const chunk of chunks) {
      if (beginning.length < BEGINNING.length) {
        beginning = Buffer.concat([beginning, chunk.subarray(0, BEGINNING.length)])
        const found = beginning.toString('latin1', 0, BEGINNING.length)
        if (!BEGINNING.startsWith(found)) throw new Refused('the file was not made by "gatehouse export"')
      }
      yield chunk
    }
    if (beginning.length === 0) throw new Refused('the file is empty')
  } catch (error) {
    source.error = error as Error
    throw error
  }
}
