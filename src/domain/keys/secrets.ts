// keys/: the root secret and the keys derived from it (HKDF), encryption at rest, signing keys (JWKS), JWTs.
//
// It owns key rotation and revocation, and how a JWT is signed and verified.
// It leaves the claims of a token to the room that issues it: `families/` and `backchannel/`.

import { createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'

/** Keys for one purpose each, derived from one root secret. */
export interface DerivedKeys {
  refreshTokenTag: KeyObject
  refreshTokenSuccessor: KeyObject
  signingKeyEncryption: KeyObject
  lastingSecretEncryption: KeyObject
  totpKeyEncryption: KeyObject
  totpEnrolment: KeyObject
  recoveryCodeHash: KeyObject
  passkeyChallenge: KeyObject
  mailLink: KeyObject
  device: KeyObject
  counterNames: KeyObject
  interactionEncryption: KeyObject
  repeatedActNames: KeyObject
  repeatedActEncryption: KeyObject
  cookies: string
}

/** One set of keys per root secret; the first signs and encrypts, all verify and decrypt. */
export type Secrets = readonly [DerivedKeys, ...DerivedKeys[]]

export function deriveSecrets([first, ...others]: readonly [string, ...string[]]): Secrets {
  return [derive(first), ...others.map(derive)]
}

function derive(root: string): DerivedKeys {
  const key = (purpose: string) => Buffer.from(hkdfSync('sha256', root, 'gatehouse', purpose, 32))
  return {
    // Key objects: createHmac with a raw buffer imports it anew every time.
    refreshTokenTag: createSecretKey(key('refresh-token-tag')),
    refreshTokenSuccessor: createSecretKey(key('refresh-token-successor')),
    signingKeyEncryption: createSecretKey(key('signing-key-encryption')),
    lastingSecretEncryption: createSecretKey(key('lasting-secret-encryption')),
    totpKeyEncryption: createSecretKey(key('totp-key-encryption')),
    totpEnrolment: createSecretKey(key('totp-enrolment')),
    recoveryCodeHash: createSecretKey(key('recovery-code-hash')),
    passkeyChallenge: createSecretKey(key('passkey-challenge')),
    mailLink: createSecretKey(key('mail-link')),
    device: createSecretKey(key('device')),
    counterNames: createSecretKey(key('counter-names')),
    interactionEncryption: createSecretKey(key('interaction-encryption')),
    repeatedActNames: createSecretKey(key('repeated-act-names')),
    repeatedActEncryption: createSecretKey(key('repeated-act-encryption')),
    cookies: key('cookies').toString('base64url'),
  }
}
