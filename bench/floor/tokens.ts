import { verify } from 'node:crypto'
import type { ApplicationTokenClaims } from '../../src/domain/application-tokens.ts'
import type { Portal } from '../../src/domain/portal.ts'
import { signWith } from '../../src/domain/signing-keys.ts'

export interface Signer {
  applicationToken(claims: object): string
  idToken(claims: object): string
  /** Null when the signature does not hold. */
  verified(token: string): ApplicationTokenClaims | null
}

/** ES256 with the portal's own function and key, and headers that are written once. */
export function createSigner(portal: Portal): Signer {
  const key = portal.keys.signer('ES256')
  const header = (typ: string) => Buffer.from(JSON.stringify({ alg: key.alg, typ, kid: key.kid })).toString('base64url')
  const signed = (head: string, claims: object) => {
    const input = `${head}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`
    return `${input}.${signWith(key, input).toString('base64url')}`
  }
  const applicationHeader = header('at+jwt')
  const idHeader = header('JWT')

  return {
    applicationToken: (claims) => signed(applicationHeader, claims),
    idToken: (claims) => signed(idHeader, claims),
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
