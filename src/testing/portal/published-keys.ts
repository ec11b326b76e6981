import { createLocalJWKSet, exportJWK, type JWTVerifyGetKey } from 'jose'
import type { Services } from '../../domain/services.ts'

/** The keys that a portal publishes now, for a verifier, without an HTTP request. */
export async function publishedKeys(services: Services): Promise<JWTVerifyGetKey> {
  const keys = services.keys.published().map(async ({ kid, alg, publicKey }) => ({
    ...(await exportJWK(publicKey)),
    kid,
    alg,
  }))
  return createLocalJWKSet({ keys: await Promise.all(keys) })
}
