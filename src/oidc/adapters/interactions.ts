import Provider, { type KoaContextWithOIDC } from 'oidc-provider'
import type { Services } from '../../domain/services.ts'
import { epochSeconds } from '../../domain/time.ts'
import { firstSupportedLanguage } from '../../i18n/language-choice.ts'
import { type BegunInteraction, begin, openRefusal } from './begun-interactions.ts'
import { exchangeState } from '../exchange-state.ts'
import { protocolRecordAdapter } from './protocol-records.ts'
import type { AdapterMethods } from './adapter-methods.ts'

/**
 * The library saves an interaction when it begins. The request is kept in the URL or the store, and its answer later in the
 * store.
 */
export function interactionAdapter(services: Services): AdapterMethods {
  const stored = protocolRecordAdapter(services, 'Interaction')
  return {
    ...stored,
    async find(uid) {
      const { ctx } = Provider
      const sealed = ctx?.oidc.route === 'resume' ? new URLSearchParams(ctx.search).get('refusal') : null
      const refusal = openRefusal(services, uid, sealed)
      if (refusal === null) return stored.find(uid)
      const now = epochSeconds(services.clock())
      return { ...refusal, kind: 'Interaction', jti: uid, uid, iat: now, exp: now + 60 }
    },
    async upsert(uid, { jti: _secret, session: _derived, ...payload }) {
      const { ctx } = Provider
      if (ctx === undefined) throw new Error('an interaction was begun outside of a request')
      const begun = payload as unknown as BegunInteraction
      const url = await begin(services, uid, begun, ctx.req.clientInfo.address)
      exchangeState(ctx).interactionUrl = withLanguage(url, ctx.oidc.params?.['ui_locales'])
    },
  }
}

/** The language of the pages on the way, when the app asks for one (`ui_locales`, OpenID Connect Core §3.1.2.1). */
function withLanguage(url: string, tags: unknown): string {
  const language = typeof tags === 'string' ? firstSupportedLanguage(tags) : null
  return language === null ? url : `${url}${url.includes('?') ? '&' : '?'}locale=${language}`
}

/** Where the browser goes for the interaction that this request began. */
export function interactionUrl(ctx: KoaContextWithOIDC): string {
  return exchangeState(ctx).interactionUrl as string
}
