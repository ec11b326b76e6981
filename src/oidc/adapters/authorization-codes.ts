import Provider, { errors } from 'oidc-provider'
import { CODE_KIND } from '../../domain/families/authorization-codes.ts'
import type { Services } from '../../domain/services.ts'
import type { AdapterMethods } from './adapter-methods.ts'
import { codeRecord, type PendingFamily } from '../code-records.ts'
import { exchangeState } from '../exchange-state.ts'
import { grantedIn } from '../grants.ts'
import { checkResource } from '../resources.ts'
import { withdrawFamily } from './withdrawn-families.ts'

/** The life of a code (seconds); a browser needs one redirect. */
export const CODE_LIFE = 60

/**
 * The redirect URI of a code that no browser carries (draft-ietf-oauth-first-party-apps §6): its request names none, and neither does
 * its exchange.
 */
export const DIRECT_REDIRECT_URI = 'urn:gatehouse:direct'

/** Keeps a code, with the record that the library would write. */
export async function putCode(services: Services, code: string, record: object): Promise<void> {
  await services.storage.protocolRecords.put(CODE_KIND, code, record, CODE_LIFE)
}

/**
 * A code carries the family it may open, so an authorization without an exchange leaves nothing but one record, which expires.
 */
export function authorizationCodeAdapter(services: Services): AdapterMethods {
  const { protocolRecords } = services.storage

  return {
    async upsert(id, payload, expiresIn = 60) {
      const { ctx } = Provider
      const identitySessionId = ctx?.req.signedIn?.id ?? null
      const signIn = { identitySessionId, isSilent: ctx?.oidc.prompts.has('none') === true }
      await protocolRecords.put(CODE_KIND, id, codeRecord(payload, grantedIn(ctx), signIn), expiresIn)
    },
    async find(id) {
      const found = await protocolRecords.find(CODE_KIND, id)
      if (found === null) return undefined
      const { pending, ...payload } = found.payload as { pending: PendingFamily; redirectUri?: string }
      // The library's error says that the redirect URI differs, not from which.
      Object.assign(exchangeState(Provider.ctx), { pendingFamily: pending, codeRedirectUri: payload.redirectUri })
      return { ...payload, jti: id, ...(found.consumed ? { consumed: true } : {}) }
    },
    async consume(id) {
      await checkResource(services, Provider.ctx)
      // One compare-and-set: of any number of concurrent exchanges, one succeeds (RFC 9700 §4.5).
      if (await protocolRecords.consume(CODE_KIND, id)) return
      // The library ends the family of a code that it finds used. This caller found the code unused and still lost the race.
      const { ctx } = Provider
      const familyId = exchangeState(ctx).pendingFamily?.grant.jti
      if (familyId !== undefined) await withdrawFamily(services, familyId, ctx?.req.clientInfo ?? null)
      throw new errors.InvalidGrant('authorization code already consumed')
    },
    async destroy(id) {
      await protocolRecords.delete(CODE_KIND, id)
    },
  }
}
