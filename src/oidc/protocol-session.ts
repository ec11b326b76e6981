import type Provider from 'oidc-provider'
import type { Client, KoaContextWithOIDC, Session } from 'oidc-provider'
import type { AppRow } from '../domain/apps/apps.ts'
import { acrOf } from '../domain/sign-in/authentication-context.ts'
import type { Services } from '../domain/services.ts'
import { epochSeconds } from '../domain/time.ts'
import { openQuestion } from './logout-questions.ts'

/** What the library keeps of each app in a session. */
interface Authorization {
  grantId?: string
}

type DerivedSession = Session & { authorizationsOf: (clientId: string) => Authorization }

/**
 * The protocol library keeps a session of its own. Here it is made anew for every request and says what the identity
 * session says, so an app's first silent request needs no detour, signing out of the portal ends single sign-on at that
 * instant, and nothing reads or writes a second session. A logout is remembered by its page (`logout-questions.ts`).
 */
export function followIdentitySession(provider: Provider, services: Services): void {
  const { Session } = provider
  Session.get = async function derive(this: typeof Session, context) {
    const ctx = context as KoaContextWithOIDC
    const session = new this()
    ctx.oidc.entity('Session', session)
    const { signedIn } = ctx.req
    // What is not touched is not stored, and the library touches it with whatever it writes.
    if (isLogout(ctx)) Object.defineProperty(session, 'touched', { get: () => false, set() {} })
    if (ctx.oidc.route === 'end_session_confirm') {
      // Its form is read after this.
      Object.defineProperty(session, 'state', { get: () => openQuestion(services, ctx), set() {} })
    }
    Object.assign(session, {
      accountId: signedIn?.identityId,
      loginTs: signedIn ? epochSeconds(signedIn.createdAt) : undefined,
      amr: signedIn?.amr,
      acr: signedIn ? acrOf(signedIn.amr) : undefined,
    })
    const authorizations = new Map<string, Authorization>()
    Object.defineProperty(session, 'authorizationsOf', {
      value(clientId: string) {
        const known = authorizations.get(clientId) ?? {}
        authorizations.set(clientId, known)
        return known
      },
    })
    return session
  }
  Object.defineProperties(Session.prototype, {
    authorizationFor: {
      value(this: DerivedSession, clientId: string) {
        return this.authorizationsOf(clientId)
      },
    },
    // What an app calls its session (OpenID Connect Back-Channel Logout §2.1) is the family, because that is what ends: an app
    // that was connected twice in one browser keeps the second when the first runs out.
    sidFor: {
      value(this: DerivedSession, clientId: string) {
        return this.authorizationsOf(clientId).grantId
      },
    },
    // Who is signed in is the portal's to say, here as everywhere; a page that was answered has changed nothing else.
    loginAccount: { value() {} },
    destroy: {
      async value(this: { destroyed: boolean }) {
        this.destroyed = true
      },
    },
  })
  // The library never learns where apps want to be told, so it tells nobody; the outbox does, and keeps no browser waiting.
  Object.defineProperty(provider.Client.prototype, 'includeSid', {
    value(this: Client) {
      return keepsSid(this.app)
    },
  })
}

function isLogout(ctx: KoaContextWithOIDC): boolean {
  return ctx.oidc.route.startsWith('end_session')
}

/** An app asks to sign somebody out where nobody is signed in: there is no question to remember. */
export function isIdleLogout({ req, oidc }: KoaContextWithOIDC): boolean {
  return oidc.route === 'end_session' && !req.signedIn
}

/** Whether an app hears of endings, and so must be able to tell its sessions apart. */
export function keepsSid(app: AppRow): boolean {
  return app.backchannelLogoutUri !== null || app.eventReceiverUri !== null
}
