import { interactionPolicy, type KoaContextWithOIDC } from 'oidc-provider'
import { epochSeconds } from '../domain/time.ts'

const { Check, base } = interactionPolicy

/** When the portal must show a page: nobody is signed in, or the request, or a native app, asks for one. */
export function createPolicy(): interactionPolicy.DefaultPolicy {
  const policy = base()
  const login = policy.get('login')
  if (login === undefined) throw new Error('the protocol library has no login prompt')

  login.checks.add(
    new Check('identity_session', 'nobody is signed in at the portal', 'login_required', (ctx) => !isSameSignIn(ctx)),
    0,
  )
  // A prompt that asks for a fresh sign-in is answered by a different identity session than the one that met it.
  login.details = (ctx) => ({ identitySessionId: ctx.req.signedIn?.id ?? null })
  return policy
}

/** The library's own session counts only while it speaks of the identity session that is alive at this moment. */
function isSameSignIn(ctx: KoaContextWithOIDC): boolean {
  const { signedIn } = ctx.req
  const { session, account } = ctx.oidc
  return (
    signedIn !== null &&
    signedIn !== undefined &&
    account !== undefined &&
    session?.accountId === signedIn.identityId &&
    session?.loginTs === epochSeconds(signedIn.createdAt)
  )
}
