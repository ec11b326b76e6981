import type Provider from 'oidc-provider'
import type { Session } from 'oidc-provider'
import { epochSeconds } from '../domain/time.ts'

/** Authentication context class of a password, in NIST's words (SP 800-63B). */
export const PASSWORD_ACR = 'aal1'

/**
 * The protocol library keeps a session of its own. Whenever it is read, it is made to say what the identity session says,
 * so an app's first silent request needs no detour, and signing out of the portal ends single sign-on at that instant.
 */
export function followIdentitySession(provider: Provider): void {
  const { Session } = provider
  const get = Session.get
  Session.get = async function follow(this: typeof Session, ctx) {
    const session = (await get.call(this, ctx)) as Session & { touched?: boolean; isNew?: boolean }
    const { signedIn } = ctx.req

    if (signedIn === null || signedIn === undefined) {
      if (session.accountId !== undefined) become(session, null)
    } else if (session.accountId !== signedIn.identityId || session.loginTs !== epochSeconds(signedIn.createdAt)) {
      become(session, { accountId: signedIn.identityId, loginTs: epochSeconds(signedIn.createdAt), amr: signedIn.amr })
    }
    return session
  }
}

function become(
  session: Session & { touched?: boolean },
  who: { accountId: string; loginTs: number; amr: string[] } | null,
): void {
  const isSamePerson = who !== null && session.accountId === who.accountId
  Object.assign(session, {
    accountId: who?.accountId,
    loginTs: who?.loginTs,
    amr: who?.amr,
    acr: who === null ? undefined : PASSWORD_ACR,
    ...(isSamePerson ? {} : { authorizations: undefined }),
  })
  // Whoever signs in gets a new identifier, in this layer too; the old one is forgotten when this one is saved.
  session.resetIdentifier()
  session.touched = true
}
