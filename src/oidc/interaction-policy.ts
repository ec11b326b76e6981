import { errors, interactionPolicy, type KoaContextWithOIDC } from 'oidc-provider'
import { missingConsent } from '../domain/accounts/consents.ts'
import { hasReadIntroduction } from '../domain/accounts/introductions.ts'
import { mayEnter } from '../domain/identities/entitlements.ts'
import { mayConnectApps } from '../domain/identities/emails.ts'
import { isRegistrationOpen } from '../domain/identities/open-registration.ts'
import { owesTerms } from '../domain/identities/terms.ts'
import { acrOf, isAcr, satisfies } from '../domain/sign-in/authentication-context.ts'
import type { Services } from '../domain/services.ts'
import { epochSeconds } from '../domain/time.ts'
import { isRequestTooLong, TOO_LONG } from './adapters/begun-interactions.ts'
import { askedAccess } from './asked-access.ts'

const { Check, Prompt, base } = interactionPolicy

/** The prompt reason that asks a signed-in user for one more factor (step-up). */
export const STEP_UP = 'step_up'
/** The page for a user who may not enter the app. It comes before every other page but the sign-in, and no answer passes it. */
export const ACCESS_PROMPT = 'access'
/** The page for a user whose e-mail address must be confirmed before an app is connected. */
export const ADDRESS_PROMPT = 'address'
/** The page of the terms of use, for a user who has not accepted their current version. */
export const TERMS_PROMPT = 'terms'
/** The page that says once what the app sees of the account, where the app wants that. */
export const INTRODUCTION = 'introduction'
/** The page on which the user chooses the account (OpenID Connect Core §3.1.2.1). */
export const SELECT_ACCOUNT = 'select_account'
/** The registration form (Initiating User Registration via OpenID Connect 1.0 §4.1). */
export const CREATE = 'create'

/** What an app is told whose user may not enter it. */
export const NO_ACCESS = 'the person may not use this app'

/** Where the details of a prompt have what a third-party app asks for. */
export const ASKED = 'asked'

/** The supported values of `prompt`. */
export function promptValues(services: Services): string[] {
  return ['none', 'login', 'consent', SELECT_ACCOUNT, ...(isRegistrationOpen(services) ? [CREATE] : [])]
}

/** What is stored of a confirmation. */
export interface AppConfirmation {
  identitySessionId: string | null
}

/**
 * When an authorization needs a page: no user is signed in, the e-mail address is not confirmed, or the request, or a native
 * app, asks for one.
 */
export function createPolicy(services: Services): interactionPolicy.DefaultPolicy {
  const policy = base()
  const login = policy.get('login')
  if (login === undefined) throw new Error('the protocol library has no login prompt')

  login.checks.add(
    new Check('identity_session', 'no user is signed in at the portal', 'login_required', (ctx) => !isSameSignIn(ctx)),
    0,
  )
  login.checks.add(new Check('too_long', TOO_LONG, 'invalid_request', refuseTooLong), 0)
  // This check knows that two factors are more than one, and skips what no user here can reach.
  login.checks.remove('essential_acrs')
  login.checks.remove('essential_acr')
  login.checks.add(
    new Check(STEP_UP, 'a stronger sign-in is required', 'interaction_required', (ctx) => needsStepUp(ctx)),
  )
  // A prompt for a fresh sign-in is answered by another identity session than the one that met it.
  const rememberSession = (ctx: KoaContextWithOIDC) => ({ identitySessionId: ctx.req.signedIn?.id ?? null })
  login.details = rememberSession
  // Both come before the sign-in, which they replace: a user who has just chosen or created an account is signed in.
  policy.add(new Prompt({ name: SELECT_ACCOUNT, requestable: true }, rememberSession), 0)
  if (isRegistrationOpen(services)) policy.add(new Prompt({ name: CREATE, requestable: true }, rememberSession), 0)
  const consent = policy.get('consent')
  if (consent === undefined) throw new Error('the protocol library has no consent prompt')
  consent.checks.add(
    new Check('another_confirmed', 'the confirmation was given in another sign-in', isConfirmedByAnother),
  )
  consent.checks.add(
    new Check('not_allowed', 'the user has not allowed all that the app asks for', 'consent_required', (ctx) =>
      lacksConsent(services, ctx),
    ),
  )
  consent.details = (ctx) => (ctx.oidc.client?.app.isThirdParty ? { [ASKED]: askedAccess(ctx) } : {})
  policy.add(
    new Prompt(
      { name: ADDRESS_PROMPT },
      new Check('address_unconfirmed', 'the address of the person is not confirmed', ({ req }: KoaContextWithOIDC) =>
        Boolean(req.signedIn && !mayConnectApps(services, req.signedIn)),
      ),
    ),
    policy.indexOf(login) + 1,
  )
  policy.add(
    new Prompt(
      { name: TERMS_PROMPT },
      new Check('terms_not_accepted', 'the person has not accepted the terms of use', ({ req }: KoaContextWithOIDC) =>
        Boolean(req.signedIn && owesTerms(services, req.signedIn)),
      ),
    ),
    policy.indexOf(login) + 1,
  )
  policy.add(
    new Prompt(
      { name: ACCESS_PROMPT },
      rememberSession,
      new Check('no_access', NO_ACCESS, 'access_denied', ({ req, oidc }: KoaContextWithOIDC) =>
        Boolean(req.signedIn && oidc.client && !mayEnter(oidc.client.app, req.signedIn)),
      ),
    ),
    policy.indexOf(login) + 1,
  )
  policy.add(
    new Prompt(
      { name: INTRODUCTION },
      new Check('app_is_new', 'the person has not read what the app sees', (ctx) => isNewTo(services, ctx)),
    ),
    policy.length,
  )
  return policy
}

async function isNewTo(services: Services, { req, oidc }: KoaContextWithOIDC): Promise<boolean> {
  const app = oidc.client?.app
  // The page on which the user allows a third-party app says more.
  if (!app?.firstTimeNotice || app.isThirdParty || !req.signedIn) return false
  return !(await hasReadIntroduction(services, req.signedIn.identityId, app.clientId))
}

/** Without a sign-in, another check decides. */
async function lacksConsent(services: Services, ctx: KoaContextWithOIDC): Promise<boolean> {
  const { signedIn } = ctx.req
  const app = ctx.oidc.client?.app
  if (!app?.isThirdParty || !signedIn) return false
  return (await missingConsent(services, signedIn.identityId, app, askedAccess(ctx))) !== null
}

/** Comes first, signed in or not: what an app may send does not depend on whether a page is needed. */
function refuseTooLong({ oidc }: KoaContextWithOIDC): boolean {
  if (isRequestTooLong(oidc.params ?? {})) throw new errors.InvalidRequest(TOO_LONG)
  return false
}

/** The library's session counts only while it belongs to the browser's current identity session. */
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

/** A confirmation belongs to one identity session; the next user to sign in here is asked, too. */
function isConfirmedByAnother({ req, oidc }: KoaContextWithOIDC): boolean {
  const confirmation = oidc.result?.['consent'] as AppConfirmation | undefined
  return confirmation !== undefined && confirmation.identitySessionId !== req.signedIn?.id
}

/**
 * An app requests a context class with `acr_values` or the `claims` parameter (OpenID Connect Core §3.1.2.1, §5.5.1.1). A
 * reachable class is asked for even when it is voluntary. An unreachable one is ignored, or refused when it is essential.
 */
function needsStepUp({ req, oidc }: KoaContextWithOIDC): boolean {
  const { signedIn } = req
  const { value, values, essential } = (oidc.claims.id_token?.['acr'] ?? {}) as Record<string, unknown>
  const wanted = values ?? (value === undefined ? [] : [value])
  if (!Array.isArray(wanted)) throw new errors.InvalidRequest('invalid claims.id_token.acr.values type')
  if (wanted.length === 0) return false
  const reachable = wanted.filter(isAcr)
  if (reachable.length === 0 && essential === true)
    throw new errors.UnmetAuthenticationRequirements('none of the requested ACRs can be obtained here')
  // Without a sign-in, another check decides.
  if (signedIn === null || signedIn === undefined || reachable.length === 0) return false
  return !reachable.some((each) => satisfies(acrOf(signedIn.amr), each))
}
