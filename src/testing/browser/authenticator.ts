import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import type {
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
} from '@simplewebauthn/server'

/** The false statements of one WebAuthn ceremony; everything left out is correct. */
export interface Lies {
  origin?: string
  rpId?: string
  challenge?: string
  /** `webauthn.create` or `webauthn.get`. */
  type?: string
  userHandle?: string | null
  userPresent?: boolean
  userVerified?: boolean
  counter?: number
  credentialId?: string
  /** What it says of its new passkey: whether it can sign in without a user name (WebAuthn credProps). */
  discoverable?: boolean
  /** Signs with a key that is not the credential's. */
  forged?: boolean
}

interface Credential {
  id: string
  rpId: string
  userHandle: string
  privateKey: KeyObject
  counter: number
}

/** A software authenticator (WebAuthn §6), and the browser in front of it: P-256, no attestation, able to lie. */
export class Authenticator {
  readonly #origin: string
  readonly #counts: boolean
  readonly #isSynchronised: boolean
  readonly #credentials: Credential[] = []

  /** A `synchronised` one has a backup of its passkeys; one that does not count leaves its signature counter at 0. */
  constructor(origin: string, { counts = true, synchronised = false } = {}) {
    this.#origin = origin
    this.#counts = counts
    this.#isSynchronised = synchronised
  }

  /** Creates a passkey. @returns the browser's answer, in JSON */
  create(options: PublicKeyCredentialCreationOptionsJSON, lies: Lies = {}): string {
    if (options.excludeCredentials?.some(({ id }) => this.#find(id) !== undefined))
      throw new Error('InvalidStateError: this authenticator has a passkey of this account')
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const id = lies.credentialId ?? randomBytes(32).toString('base64url')
    const credential = { id, rpId: options.rp.id as string, userHandle: options.user.id, privateKey, counter: 0 }
    this.#credentials.push(credential)

    const idBytes = Buffer.from(id, 'base64url')
    const { x, y } = publicKey.export({ format: 'jwk' })
    // aaguid, length of the id, the id, a COSE key of EC2, ES256, P-256 (RFC 9053 §7.1).
    const attested = Buffer.concat([
      Buffer.alloc(16),
      Buffer.of(idBytes.length >> 8, idBytes.length & 0xff),
      idBytes,
      Buffer.from('a5010203262001', 'hex'),
      ...[x, y].flatMap((coordinate, index) => [
        cborInteger(-2 - index),
        cborBytes(Buffer.from(coordinate as string, 'base64url')),
      ]),
    ])
    const authData = this.#authenticatorData(credential, lies, attested)
    const attestationObject = Buffer.concat([
      Buffer.of(0xa3),
      cborText('fmt'),
      cborText('none'),
      cborText('attStmt'),
      Buffer.of(0xa0),
      cborText('authData'),
      cborBytes(authData),
    ])
    return this.#answer(
      id,
      {
        clientDataJSON: this.#clientData('webauthn.create', options.challenge, lies).toString('base64url'),
        attestationObject: attestationObject.toString('base64url'),
        transports: ['internal', 'hybrid'],
      },
      lies.discoverable === undefined ? {} : { credProps: { rk: lies.discoverable } },
    )
  }

  /** Signs in with a passkey for this site. @returns the browser's answer, in JSON */
  get(options: PublicKeyCredentialRequestOptionsJSON, lies: Lies = {}): string {
    const allowed = options.allowCredentials?.map(({ id }) => id)
    const credential = this.#credentials.find(({ id }) => allowed === undefined || allowed.includes(id))
    if (credential === undefined) throw new Error('NotAllowedError: this authenticator has none of these passkeys')
    if (this.#counts) credential.counter++

    const clientData = this.#clientData('webauthn.get', options.challenge, lies)
    const authData = this.#authenticatorData(credential, lies)
    const key =
      lies.forged === true ? generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey : credential.privateKey
    const signature = sign('sha256', Buffer.concat([authData, hashOf(clientData)]), key)
    const userHandle = lies.userHandle === undefined ? credential.userHandle : lies.userHandle
    return this.#answer(lies.credentialId ?? credential.id, {
      clientDataJSON: clientData.toString('base64url'),
      authenticatorData: authData.toString('base64url'),
      signature: signature.toString('base64url'),
      ...(userHandle === null ? {} : { userHandle }),
    })
  }

  #find(id: string): Credential | undefined {
    return this.#credentials.find((credential) => credential.id === id)
  }

  #clientData(type: string, challenge: string, lies: Lies): Buffer {
    const { origin = this.#origin } = lies
    return Buffer.from(
      JSON.stringify({ type: lies.type ?? type, challenge: lies.challenge ?? challenge, origin, crossOrigin: false }),
    )
  }

  /** WebAuthn §6.1: hash of the site's id, flags, counter, and what was attested. */
  #authenticatorData({ rpId, counter }: Credential, lies: Lies, attested: Buffer = Buffer.alloc(0)): Buffer {
    const flags =
      (lies.userPresent === false ? 0 : 0x01) |
      (lies.userVerified === false ? 0 : 0x04) |
      (this.#isSynchronised ? 0x18 : 0) |
      (attested.length > 0 ? 0x40 : 0)
    const counted = Buffer.alloc(4)
    counted.writeUInt32BE(lies.counter ?? counter)
    return Buffer.concat([hashOf(Buffer.from(lies.rpId ?? rpId)), Buffer.of(flags), counted, attested])
  }

  #answer(id: string, response: object, clientExtensionResults: object = {}): string {
    return JSON.stringify({
      id,
      rawId: id,
      type: 'public-key',
      authenticatorAttachment: 'platform',
      clientExtensionResults,
      response,
    })
  }
}

function hashOf(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest()
}

/** An integer between -24 and 23 (RFC 8949 §3.1). */
function cborInteger(value: number): Buffer {
  return Buffer.of(value < 0 ? 0x20 | (-1 - value) : value)
}

function cborBytes(bytes: Buffer): Buffer {
  return Buffer.concat([cborLength(0x40, bytes.length), bytes])
}

function cborText(text: string): Buffer {
  return Buffer.concat([cborLength(0x60, text.length), Buffer.from(text)])
}

function cborLength(major: number, length: number): Buffer {
  if (length < 24) return Buffer.of(major | length)
  return length < 256 ? Buffer.of(major | 24, length) : Buffer.of(major | 25, length >> 8, length & 0xff)
}
