import { randomUUID } from 'node:crypto'
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'

type KeyPair = Awaited<ReturnType<typeof generateKeyPair>>

/** A key of a client: it signs what the client sends, and the portal has its public half. */
export interface ClientKey {
  alg: string
  privateKey: KeyPair['privateKey']
  publicKey: KeyPair['publicKey']
  /** The public half, as it is registered. */
  jwk: JWK
}

export async function makeClientKey(alg = 'ES256', kid: string = randomUUID()): Promise<ClientKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  return { alg, privateKey, publicKey, jwk: { ...(await exportJWK(publicKey)), kid, use: 'sig' } }
}

export const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** Claims and header that differ from a valid JWT; undefined leaves one out. */
export interface JwtChange {
  claims?: Record<string, unknown>
  header?: Record<string, unknown>
  key?: ClientKey
}

/** Seconds since 1970, as the protocol library counts them. */
export function epochNow(): number {
  return Math.floor(Date.now() / 1000)
}

/** Signs these claims with the key of a client. */
export async function signWith(key: ClientKey, claims: Record<string, unknown>, header: object = {}): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg: key.alg, kid: key.jwk.kid, ...header }).sign(key.privateKey)
}

/** A client assertion that is valid but for what `change` names, as fields of a form (`private_key_jwt`, RFC 7523 §2.2). */
export async function assertionOf(
  own: ClientKey,
  clientId: string,
  issuer: string,
  { claims, header, key = own }: JwtChange = {},
): Promise<{ client_assertion_type: string; client_assertion: string }> {
  const now = epochNow()
  const assertion = await signWith(
    key,
    { iss: clientId, sub: clientId, aud: issuer, jti: randomUUID(), iat: now, exp: now + 60, ...claims },
    header,
  )
  return { client_assertion_type: ASSERTION_TYPE, client_assertion: assertion }
}
