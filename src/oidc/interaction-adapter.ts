import Provider, { type KoaContextWithOIDC } from 'oidc-provider'
import type { Portal } from '../domain/portal.ts'
import { type BegunInteraction, begin } from './begun-interactions.ts'
import { handshakeAdapter } from './handshake-adapter.ts'
import type { Model } from './model.ts'

const urls = new WeakMap<KoaContextWithOIDC, string>()

/** The library saves an interaction as it begins one; what that means is decided here, and the answer is in the store later. */
export function interactionAdapter(portal: Portal): Model {
  return {
    ...handshakeAdapter(portal, 'Interaction'),
    async upsert(uid, { jti: _secret, session: _derived, ...payload }) {
      const { ctx } = Provider
      if (ctx === undefined) throw new Error('an interaction was begun outside of a request')
      urls.set(ctx, await begin(portal, uid, payload as unknown as BegunInteraction, ctx.req.place.address))
    },
  }
}

/** Where the browser goes for the interaction that this request has begun. */
export function interactionUrl(ctx: KoaContextWithOIDC): string {
  return urls.get(ctx) as string
}
