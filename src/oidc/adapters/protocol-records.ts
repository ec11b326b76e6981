import { errors } from 'oidc-provider'
import type { Services } from '../../domain/services.ts'
import type { AdapterMethods } from './adapter-methods.ts'

/**
 * Records the library makes and forgets. A payload holds the id itself, which is a secret and stays out of the store, and
 * an interaction's the session it began with, which is gone by the next request: the resume cookie binds it to its browser.
 */
export function protocolRecordAdapter(
  { storage: { protocolRecords: handshakes } }: Services,
  kind: string,
): AdapterMethods {
  return {
    async upsert(id, { jti: _secret, session: _derived, ...payload }, expiresIn = 60) {
      await handshakes.put(kind, id, payload, expiresIn, payload.uid)
    },
    async find(id) {
      const found = await handshakes.find(kind, id)
      return found === null ? undefined : { ...found.payload, jti: id, ...(found.consumed ? { consumed: true } : {}) }
    },
    async findByUid(uid) {
      const found = await handshakes.findByUid(kind, uid)
      return found === null ? undefined : found.payload
    },
    async consume(id) {
      // The library checks and marks in two steps; only the mark decides who was first.
      if (!(await handshakes.consume(kind, id))) throw new errors.InvalidRequestUri('request_uri was already used')
    },
    async destroy(id) {
      await handshakes.delete(kind, id)
    },
  }
}
