import { interactionPolicy, type KoaContextWithOIDC } from 'oidc-provider'
import { mayConnectApps } from '../domain/addresses.ts'
import type { Portal } from '../domain/portal.ts'
import { epochSeconds } from '../domain/time.ts'

const { Check, Prompt, base } = interactionPolicy

/** The page for somebody whose address must be confirmed before an app is connected. */
export const ADDRESS_PROMPT = 'address'

/** When the portal must show a page: nobody is signed in, an address is not confirmed, or the request, or a native app, asks for one. */
export function createPolicy(portal: Portal): interactionPolicy.DefaultPolicy {
  const policy = base()
  const login = policy.get('login')
  if (login === undefined) throw new Error('the protocol library has no login prompt')

  login.checks.add(
    new Check('identity_session', 'nobody is signed in at the portal', 'login_required', (ctx) => !isSameSignIn(ctx)),
    0,
  )
  // A prompt that asks for a fresh sign-in is answered by a different identity session than the one that met it.
  login.details = (ctx) => ({ identitySessionId: ctx.req.signedIn?.id ?? null })
  policy.add(
    new Prompt(
      { name: ADDRESS_PROMPT },
      new Check('address_unconfirmed', 'the address of the person is not confirmed', ({ req }: KoaContextWithOIDC) =>
        Boolean(req.signedIn && !mayConnectApps(portal, req.signedIn)),
      ),
    ),
    policy.indexOf(login) + 1,
  )
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
