import type { AppRow } from '../domain/apps/apps.ts'
import { configuredClaims, type WantedClaims } from '../domain/identities/claims.ts'
import { signJwt, signJwtInBackground } from '../domain/keys/jwts.ts'
import type { Services } from '../domain/services.ts'
import { SHARED_ALG, signerFor } from '../domain/keys/shared-keys.ts'
import { epochSeconds } from '../domain/time.ts'
import { ID_TOKEN_LIFE, type Subject, userinfoOf } from './account.ts'

/** What an ID token is made of (OpenID Connect Core §2). */
export interface IdTokenSubject extends Subject {
  /** What the app wants in its ID tokens whatever the scopes. */
  wantedClaims: WantedClaims | null
  clientId: string
  /** The granted scopes that the portal defines. */
  scopes: string[]
  /** When the user signed in (seconds since 1970), and how. */
  signIn: { auth_time: number; acr: string | undefined; amr: string[] | undefined }
  nonce?: string | undefined
  sid?: string | undefined
}

/** An ID token as the library makes it, for an app that requested no claims by name. */
export async function signIdToken(
  services: Services,
  { alg, tokenKeyId }: { alg: string; tokenKeyId: string | null },
  { clientId, scopes, signIn, nonce, sid, wantedClaims, ...subject }: IdTokenSubject,
  issuedAt: Date,
): Promise<string> {
  const iat = epochSeconds(issuedAt)
  return signJwtInBackground(signerFor(services, alg, { clientId, tokenKeyId }), 'id', {
    ...userinfoOf(subject, scopes, signIn),
    ...(wantedClaims === null ? {} : addedClaims(wantedClaims, subject)),
    nonce,
    sid,
    aud: clientId,
    exp: iat + ID_TOKEN_LIFE,
    iat,
    iss: services.publicUrl,
  })
}

function addedClaims({ idToken, attributeClaims }: WantedClaims, { source, roles }: Subject): Record<string, unknown> {
  return configuredClaims(idToken, source, attributeClaims, roles)
}

/**
 * The library signs with the published keys only: an ID token that it made for an app with a shared key is signed again. Both
 * algorithms hash with SHA-256, so `at_hash` stays.
 */
export function signIdTokenAnew(services: Services, token: string, app: AppRow): string {
  if (app.idTokenAlg !== SHARED_ALG) return token
  const [, payload = ''] = token.split('.')
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object
  return signJwt(signerFor(services, SHARED_ALG, app), 'id', claims)
}
