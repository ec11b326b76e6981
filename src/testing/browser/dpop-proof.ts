import { createHash, randomUUID } from 'node:crypto'
import { SignJWT } from 'jose'
import { type ClientKey, epochNow, type JwtChange } from './client-key.ts'

/** A DPoP proof for this request (RFC 9449 §4.2), valid but for what `change` names. @param token the token it goes with */
export async function dpopProof(
  own: ClientKey,
  [method, url]: [method: string, url: string],
  token?: string,
  { claims, header, key = own }: JwtChange = {},
): Promise<{ DPoP: string }> {
  const ath = token === undefined ? {} : { ath: createHash('sha256').update(token).digest('base64url') }
  const { kid: _kid, use: _use, ...jwk } = key.jwk
  const proof = await new SignJWT({ jti: randomUUID(), htm: method, htu: url, iat: epochNow(), ...ath, ...claims })
    .setProtectedHeader({ alg: key.alg, typ: 'dpop+jwt', jwk, ...header })
    .sign(key.privateKey)
  return { DPoP: proof }
}
