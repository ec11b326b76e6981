import { errors } from 'oidc-provider'
import type { Services } from '../../domain/services.ts'
import type { AdapterMethods } from './adapter-methods.ts'

/**
 * Protocol records (codes, interactions, PAR requests, replay marks) that the library creates and forgets.
 * Two things of a payload are not stored: the id, which is a secret, and an interaction's session, which is gone by the next
 * request. The resume cookie binds the interaction to its browser.
 */
export function protocolRecordAdapter({ storage: { protocolRecords } }: Services, kind: string): AdapterMethods {
  return {
    async upsert(id, { jti: _secret, session: _derived, ...payload }, expiresIn = 60) {
      await protocolRecords.put(kind, id, payload, expiresIn, payload.uid)
    },
    async find(id) {
      const found = await protocolRecords.find(kind, id)
      return found === null ? undefined : { ...found.payload, jti: id, ...(found.consumed ? { consumed: true } : {}) }
    },
    async findByUid(uid) {
      const found = await protocolRecords.findByUid(kind, uid)
      return found === null ? undefined : found.payload
    },
    async consume(id) {
      // The library checks and marks in two steps; only the mark decides the race.
      if (!(await protocolRecords.consume(kind, id))) throw new errors.InvalidRequestUri('request_uri was already used')
    },
    async destroy(id) {
      await protocolRecords.delete(kind, id)
    },
  }
}
