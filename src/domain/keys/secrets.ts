// keys/: the root secrets and the keys derived from them (HKDF), encryption at rest, signing keys (JWKS), JWTs.
//
// It owns the rotation of signing keys and of the root secret, revocation, and how a JWT is signed and verified.
// It leaves the claims of a token to the room that issues it: `families/` and `backchannel/`.

import { createSecretKey, hkdfSync, type KeyObject, randomBytes } from 'node:crypto'

/** Keys for one purpose each, derived from one root secret. */
export interface DerivedKeys {
  /** A tag of the root secret, which is no secret: it names the secret in the database, to operators and in logs. */
  id: string
  /** The root secret itself is not set any more; only what verifies things that were made under it was kept. */
  isKept: boolean
  refreshTokenTag: KeyObject
  refreshTokenSuccessor: KeyObject
  signingKeyEncryption: KeyObject
  lastingSecretEncryption: KeyObject
  keptKeysEncryption: KeyObject
  totpKeyEncryption: KeyObject
  totpEnrolment: KeyObject
  upstreamTokenEncryption: KeyObject
  providerSecretEncryption: KeyObject
  upstreamAttempt: KeyObject
  recoveryCodeHash: KeyObject
  passkeyChallenge: KeyObject
  mailLink: KeyObject
  device: KeyObject
  counterNames: KeyObject
  interactionEncryption: KeyObject
  repeatedActNames: KeyObject
  repeatedActEncryption: KeyObject
  probe: KeyObject
  cookies: string
}

/** One set of keys per root secret; the first signs and encrypts, all verify and decrypt. */
export type Secrets = readonly [DerivedKeys, ...DerivedKeys[]]

type KeyName = Exclude<keyof DerivedKeys, 'id' | 'isKept' | 'cookies'>

/** What the key of each purpose is derived with. */
const PURPOSES: Record<KeyName | 'cookies', string> = {
  refreshTokenTag: 'refresh-token-tag',
  refreshTokenSuccessor: 'refresh-token-successor',
  signingKeyEncryption: 'signing-key-encryption',
  lastingSecretEncryption: 'lasting-secret-encryption',
  keptKeysEncryption: 'kept-keys-encryption',
  totpKeyEncryption: 'totp-key-encryption',
  totpEnrolment: 'totp-enrolment',
  upstreamTokenEncryption: 'upstream-token-encryption',
  providerSecretEncryption: 'provider-secret-encryption',
  upstreamAttempt: 'upstream-attempt',
  recoveryCodeHash: 'recovery-code-hash',
  passkeyChallenge: 'passkey-challenge',
  mailLink: 'mail-link',
  device: 'device',
  counterNames: 'counter-names',
  interactionEncryption: 'interaction-encryption',
  repeatedActNames: 'repeated-act-names',
  repeatedActEncryption: 'repeated-act-encryption',
  probe: 'probe',
  cookies: 'cookies',
}

export function deriveSecrets([first, ...others]: readonly [string, ...string[]]): Secrets {
  return [derive(first), ...others.map(derive)]
}

function derive(root: string): DerivedKeys {
  const bytes = (purpose: string, length: number) => Buffer.from(hkdfSync('sha256', root, 'gatehouse', purpose, length))
  const id = bytes('root-secret-id', ID_BYTES).toString('base64url')
  return { id, isKept: false, ...keysFrom((name) => bytes(PURPOSES[name], 32)) }
}

const ID_BYTES = 9

/** Keys that verify what lasts longer than a day: the tokens of apps, cookies, mailed links and recovery codes. */
const LASTING = [
  'refreshTokenTag',
  'refreshTokenSuccessor',
  'recoveryCodeHash',
  'mailLink',
  'device',
  'cookies',
] as const
/** Keys that verify or open what is over within a day. */
const PASSING = [
  'totpEnrolment',
  'upstreamAttempt',
  'passkeyChallenge',
  'interactionEncryption',
  'repeatedActEncryption',
] as const

/** The keys of a secret that are kept when it is taken away, as text. None of them opens what is encrypted in the database. */
export function packKeys(keys: DerivedKeys): string {
  const packed = [...LASTING, ...PASSING].map((name): [string, string] => {
    const key = keys[name]
    return [name, typeof key === 'string' ? key : key.export().toString('base64url')]
  })
  return JSON.stringify(Object.fromEntries(packed))
}

/** The same as keys again, by `withPassing` also those for what is over within a day; in place of the others, keys that fit nothing. */
export function unpackKeys(id: string, packed: string, withPassing: boolean): DerivedKeys {
  const kept = JSON.parse(packed) as Partial<Record<string, string>>
  const names: readonly string[] = withPassing ? [...LASTING, ...PASSING] : LASTING
  const keys = keysFrom((name) => {
    const key = names.includes(name) ? kept[name] : undefined
    return key === undefined ? randomBytes(32) : Buffer.from(key, 'base64url')
  })
  return { id, isKept: true, ...keys }
}

function keysFrom(bytesOf: (name: keyof typeof PURPOSES) => Buffer): Omit<DerivedKeys, 'id' | 'isKept'> {
  // Key objects: createHmac with a raw buffer imports it anew every time.
  const key = (name: KeyName) => createSecretKey(bytesOf(name))
  return {
    refreshTokenTag: key('refreshTokenTag'),
    refreshTokenSuccessor: key('refreshTokenSuccessor'),
    signingKeyEncryption: key('signingKeyEncryption'),
    lastingSecretEncryption: key('lastingSecretEncryption'),
    keptKeysEncryption: key('keptKeysEncryption'),
    totpKeyEncryption: key('totpKeyEncryption'),
    totpEnrolment: key('totpEnrolment'),
    upstreamTokenEncryption: key('upstreamTokenEncryption'),
    providerSecretEncryption: key('providerSecretEncryption'),
    upstreamAttempt: key('upstreamAttempt'),
    recoveryCodeHash: key('recoveryCodeHash'),
    passkeyChallenge: key('passkeyChallenge'),
    mailLink: key('mailLink'),
    device: key('device'),
    counterNames: key('counterNames'),
    interactionEncryption: key('interactionEncryption'),
    repeatedActNames: key('repeatedActNames'),
    repeatedActEncryption: key('repeatedActEncryption'),
    probe: key('probe'),
    cookies: bytesOf('cookies').toString('base64url'),
  }
}
