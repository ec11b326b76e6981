import Provider, { errors } from 'oidc-provider'
import type { Services } from '../../domain/services.ts'
import { exchangeState } from '../exchange-state.ts'
import type { AdapterMethods } from './adapter-methods.ts'

/**
 * Replay marks of DPoP proofs (RFC 9449 §11.1) and client assertions (RFC 7523 §3). The library finds, then saves; saving once
 * is the whole test.
 */
export function replayAdapter({ storage: { protocolRecords } }: Services): AdapterMethods {
  return {
    async find() {
      return undefined
    },
    async upsert(id, _payload, expiresIn = 300) {
      const state = exchangeState(Provider.ctx)
      if (state.marks === 'assertion') {
        delete state.marks
        if (!(await protocolRecords.putOnce('ClientAssertion', id, {}, expiresIn)))
          throw new errors.InvalidClientAuth('the client assertion was used before')
        return
      }
      // The request that this one is a part of has used the proof up.
      if (Provider.ctx?.req.within?.isProofUsed === true) return
      // A proof may be dated as far ahead as back, so an early one stays valid for twice as long.
      const first = await protocolRecords.putOnce('ReplayDetection', id, {}, 2 * expiresIn)
      if (!first) throw new errors.InvalidDpopProof('the proof was used before')
    },
  }
}
