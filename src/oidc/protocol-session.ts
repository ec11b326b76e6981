import type { KoaContextWithOIDC } from 'oidc-provider'
import type { AppRow } from '../domain/apps/apps.ts'
import { acrOf } from '../domain/sign-in/authentication-context.ts'
import { epochSeconds } from '../domain/time.ts'
import type { SessionSignIn } from './library-internals.ts'

/**
 * The protocol library wants a session of its own. Here it is derived from the identity session on every request. So an app's
 * first silent request needs no detour, signing out of the portal ends single sign-on at once, and no second session is read or
 * written. A logout is remembered by its page (`logout-questions.ts`).
 */
export function signInOf({ req: { signedIn } }: KoaContextWithOIDC): SessionSignIn {
  return {
    accountId: signedIn?.identityId,
    loginTs: signedIn ? epochSeconds(signedIn.createdAt) : undefined,
    amr: signedIn?.amr,
    acr: signedIn ? acrOf(signedIn.amr) : undefined,
  }
}

/** An app asks for a logout where no user is signed in: there is no question to remember. */
export function isIdleLogout({ req, oidc }: KoaContextWithOIDC): boolean {
  return oidc.route === 'end_session' && !req.signedIn
}

/**
 * Whether an app gets back-channel notifications, and so needs a `sid` to tell its sessions apart. The library gets no
 * back-channel logout URIs, so it sends nothing. The transactional outbox delivers, and no browser waits.
 */
export function keepsSid(app: AppRow): boolean {
  return app.backchannelLogoutUri !== null || app.eventReceiverUri !== null
}
