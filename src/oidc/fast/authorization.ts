import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { mayEnter } from '../../domain/identities/entitlements.ts'
import { mayConnectApps } from '../../domain/identities/emails.ts'
import { owesTerms } from '../../domain/identities/terms.ts'
import { type AppRow, isClientId, OPENID_SCOPES } from '../../domain/apps/apps.ts'
import { acrOf } from '../../domain/sign-in/authentication-context.ts'
import { mintCode } from '../../domain/families/authorization-codes.ts'
import type { SignedInRow } from '../../domain/sign-in/identity-sessions.ts'
import type { Services } from '../../domain/services.ts'
import { epochSeconds } from '../../domain/time.ts'
import { putCode } from '../adapters/authorization-codes.ts'
import { isRequestTooLong } from '../adapters/begun-interactions.ts'
import { codeRecord } from '../code-records.ts'
import { findAppOnce } from '../exchange-state.ts'
import { keepsSid } from '../protocol-session.ts'
import { withParameters } from '../redirects.ts'
import { resourceOf } from '../resources.ts'

/**
 * Fast path of the authorization that nearly every app requests (RFC 6749 §4.1.1, RFC 7636): a signed-in user, a code, PKCE,
 * and no page. It takes two reads and one write. Everything else, errors included, is left to the library.
 * @returns false when the request is left to the library
 */
export async function answerPlainAuthorization(
  services: Services,
  req: IncomingMessage,
  res: ServerResponse,
  findSignedIn: (req: IncomingMessage) => Promise<SignedInRow | null>,
): Promise<boolean> {
  const request = readRequest(req)
  if (request === null) return false
  const [signedIn, app] = await Promise.all([findSignedIn(req), findAppOnce(services, { req }, request.client_id)])
  if (signedIn === null || app === null || !mayHave(app, request)) return false
  // All three are in rows that were read anyway.
  if (!mayEnter(app, signedIn) || !mayConnectApps(services, signedIn) || owesTerms(services, signedIn)) return false

  const familyId = randomUUID()
  const code = mintCode(familyId, services.clock())
  await putCode(services, code, recordOf(app, signedIn, request, familyId))
  res.writeHead(303, {
    Location: locationOf(services, request, code),
    'Cache-Control': 'no-store',
    'Content-Length': 0,
  })
  res.end()
  return true
}

interface PlainRequest {
  client_id: string
  redirect_uri: string
  scope: string
  code_challenge: string
  state?: string
  nonce?: string
  prompt?: 'none'
}

const NEEDED = ['client_id', 'redirect_uri', 'scope', 'code_challenge', 'response_type', 'code_challenge_method']
const KNOWN = new Set([...NEEDED, 'state', 'nonce', 'prompt'])

/** Null for a request with any other parameter, or with an empty or repeated one. */
function readRequest({ url = '' }: IncomingMessage): PlainRequest | null {
  const params: Record<string, string> = {}
  for (const [name, value] of new URLSearchParams(url.slice(url.indexOf('?')))) {
    if (!KNOWN.has(name) || name in params || value === '') return null
    params[name] = value
  }
  const isPlain =
    NEEDED.every((name) => name in params) &&
    isClientId(params['client_id'] as string) &&
    params['response_type'] === 'code' &&
    params['code_challenge_method'] === 'S256' &&
    /^[\w-]{43}$/.test(params['code_challenge'] as string) &&
    (params['prompt'] ?? 'none') === 'none' &&
    !isRequestTooLong(params)
  return isPlain ? (params as unknown as PlainRequest) : null
}

/**
 * A native app makes the user confirm, `offline_access` asks for consent (OpenID Connect Core §11), some apps say first what they
 * see, and users consent to third-party apps: these may need a page. Others must push their requests (RFC 9126) or sign them
 * (RFC 9101).
 */
function mayHave(app: AppRow, { redirect_uri: redirectUri, scope }: PlainRequest): boolean {
  const asked = scope.split(' ')
  const own = app.scope.split(' ')
  return (
    app.disabledAt === null &&
    !app.isNative &&
    !app.firstTimeNotice &&
    !app.isThirdParty &&
    !app.requirePar &&
    !app.requireSignedRequest &&
    app.redirectUris.includes(redirectUri) &&
    asked.includes('openid') &&
    !asked.includes('offline_access') &&
    new Set(asked).size === asked.length &&
    asked.every((each) => own.includes(each))
  )
}

/** What the library would have made of this authorization. */
function recordOf(
  app: AppRow,
  signedIn: SignedInRow,
  { redirect_uri: redirectUri, scope, code_challenge: codeChallenge, nonce, prompt }: PlainRequest,
  grantId: string,
): object {
  const asked = scope.split(' ')
  const openid = asked.filter((each) => (OPENID_SCOPES as readonly string[]).includes(each))
  const granted = new Set([...openid, ...app.scope.split(' ').filter((each) => asked.includes(each))])
  const resource = resourceOf(app.audience)
  const code = {
    accountId: signedIn.identityId,
    clientId: app.clientId,
    grantId,
    acr: acrOf(signedIn.amr),
    amr: signedIn.amr,
    authTime: epochSeconds(signedIn.createdAt),
    codeChallenge,
    codeChallengeMethod: 'S256',
    nonce,
    redirectUri,
    resource,
    scope: [...granted].join(' '),
    sid: keepsSid(app) ? grantId : undefined,
  }
  return codeRecord(
    code,
    { openid: { scope: openid.join(' '), claims: [] }, resources: { [resource]: app.scope } },
    { identitySessionId: signedIn.id, isSilent: prompt === 'none' },
  )
}

/** The response names its issuer (RFC 9207 §2). */
function locationOf(services: Services, { redirect_uri: redirectUri, state }: PlainRequest, code: string): string {
  return withParameters(redirectUri, { code, ...(state === undefined ? {} : { state }), iss: services.publicUrl })
}
