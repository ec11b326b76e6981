import { verify } from 'node:crypto'
import type { ApplicationTokenClaims } from '../../src/domain/families/application-tokens.ts'
import type { Services } from '../../src/domain/services.ts'
import { signInBackground, type SigningKey, signWith } from '../../src/domain/keys/signing-keys.ts'

export interface Signer {
  applicationToken(claims: object): string
  idToken(claims: object): Promise<string>
  /** Null for an invalid signature. */
  verified(token: string): ApplicationTokenClaims | null
}

/** Signs as the portal does, with its functions and keys, and with constant headers. */
export function createSigner(services: Services): Signer {
  const key = services.keys.signer('ES256')
  const idKey = services.keys.signer('RS256')
  const header = ({ alg, kid }: SigningKey, typ: string) =>
    Buffer.from(JSON.stringify({ alg, typ, kid })).toString('base64url')
  const inputOf = (head: string, claims: object) =>
    `${head}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`
  const applicationHeader = header(key, 'at+jwt')
  const idHeader = header(idKey, 'JWT')

  return {
    applicationToken(claims) {
      const input = inputOf(applicationHeader, claims)
      return `${input}.${signWith(key, input).toString('base64url')}`
    },
    async idToken(claims) {
      const input = inputOf(idHeader, claims)
      return `${input}.${(await signInBackground(idKey, input)).toString('base64url')}`
    },
    verified(token) {
      const end = token.lastIndexOf('.')
      const holds = verify(
        'sha256',
        Buffer.from(token.slice(0, end)),
        { key: key.publicKey, dsaEncoding: 'ieee-p1363' },
        Buffer.from(token.slice(end + 1), 'base64url'),
      )
      if (!holds) return null
      const payload = token.slice(token.indexOf('.') + 1, end)
      return JSON.parse(Buffer.from(payload, 'base64url').toString()) as ApplicationTokenClaims
    },
  }
}
