import type { RefusalReason } from '../domain/endings/end-causes.ts'

/** What the developer of an app reads of an error. */
export interface Explanation {
  meaning: string
  /** What to do about it. */
  remedy: string
}

/** Every `error` that the endpoints for apps answer. */
export const ERROR_CODES = {
  invalid_request: {
    meaning:
      'The request is malformed: a parameter is missing, is there twice, or has a value that is not allowed, or the request is too long.',
    remedy:
      'Read error_description, which names the parameter. Browsers that come for a code need PKCE (code_challenge). "gatehouse app show" says whether the app must push its requests or sign them.',
  },
  invalid_client: {
    meaning:
      'The app could not be authenticated: its client_id is not registered, it is disabled, or its client_secret, its signed assertion or its certificate is wrong or missing.',
    remedy:
      'Compare client_id with "gatehouse app list". "gatehouse app rotate-secret" makes a new secret. A public app sends its client_id alone. An assertion is for the issuer, works once, and expires within ten minutes. The log of the portal names the reason.',
  },
  invalid_grant: {
    meaning:
      'The authorization code or the refresh token is not good, or not good any more. A refused refresh says why in reason.',
    remedy:
      'A code is good once, for a minute, with the redirect_uri and the code_verifier of its request. After a refused refresh, send the user to sign in again.',
  },
  unauthorized_client: {
    meaning:
      'The app is not registered for this kind of request: only services have client_credentials, only apps with --exchange-for exchange tokens, and only apps with --first-party-direct sign users in themselves.',
    remedy: 'Look at the app with "gatehouse app show", and change it with "gatehouse app update".',
  },
  insufficient_authorization: {
    meaning:
      'A direct sign-in needs more of the user (draft-ietf-oauth-first-party-apps). The answer says what in next, and in reason what was wrong with the answer before.',
    remedy: 'Ask the user for one of next, and send it with the auth_session of this answer, which works once.',
  },
  redirect_to_web: {
    meaning: 'The user must do something that only a page of the portal can ask (draft-ietf-oauth-first-party-apps).',
    remedy:
      'Open a browser at the authorization endpoint with client_id and the request_uri of the answer, or with a new request where there is none.',
  },
  invalid_session: {
    meaning:
      'The auth_session is unknown, used or expired, of another app, key or request, or the user was signed out everywhere meanwhile.',
    remedy: 'Begin the direct sign-in again, without auth_session.',
  },
  authorization_pending: {
    meaning: 'The user has not answered yet on the page for devices (RFC 8628 §3.5).',
    remedy: 'Ask again after the interval, in seconds, of the answer of the device endpoint.',
  },
  slow_down: {
    meaning: 'The device asks more often than its interval allows (RFC 8628 §3.5).',
    remedy: 'Make the interval five seconds longer for this code, then go on asking.',
  },
  expired_token: {
    meaning: 'The code of the device has expired before its user answered.',
    remedy: 'Get new codes from the device endpoint, and show the new user code.',
  },
  unsupported_grant_type: {
    meaning: 'The token endpoint does not know this grant_type.',
    remedy: 'Discovery lists those it knows as grant_types_supported.',
  },
  unsupported_response_type: {
    meaning:
      'The authorization endpoint does not know this response_type. The implicit and hybrid flows are not supported.',
    remedy: 'Use response_type=code with PKCE.',
  },
  unsupported_response_mode: {
    meaning: 'The authorization endpoint does not know this response_mode.',
    remedy: 'Leave it out, or use one of response_modes_supported in discovery.',
  },
  invalid_scope: {
    meaning:
      'The app asked for a scope that does not exist, in a refresh for more than the family has, or as a service for more than the API grants it.',
    remedy:
      'Ask only for scopes that "gatehouse app show" lists. To get more than before, send the user through authorization again.',
  },
  invalid_target: {
    meaning:
      'The resource parameter names an API that the app may not have, or that the authorization did not name, or a token request names several. It is also the answer after an operator has taken the only API from the app.',
    remedy:
      'Name an API that "gatehouse app show" lists, one in each token request, or leave resource out. "gatehouse app update <client-id> --api <identifier>" allows one. The refresh token stays good.',
  },
  invalid_token: {
    meaning: 'The application token has expired, its family has ended, or what it claims has changed since.',
    remedy: 'Refresh once and send the request again. If the refresh is refused, send the user to sign in again.',
  },
  insufficient_scope: {
    meaning: 'The application token does not have the scope that this request needs.',
    remedy: 'Ask for the scope at authorization. Userinfo needs openid.',
  },
  invalid_dpop_proof: {
    meaning: 'The DPoP proof is malformed, too old, used before, or made for another request (RFC 9449).',
    remedy: 'Make a new proof for each request, and check the clock of the device.',
  },
  use_dpop_nonce: {
    meaning: 'The portal wants a DPoP proof that has the nonce of its answer (RFC 9449 §8).',
    remedy: 'Make the proof again with the value of the header DPoP-Nonce.',
  },
  invalid_redirect_uri: {
    meaning:
      'The redirect_uri is not registered for the app. The browser is sent nowhere, and shows a page of the portal.',
    remedy:
      'Register it, character for character, with "gatehouse app update". In development the page shows the command.',
  },
  invalid_request_object: {
    meaning:
      'The request parameter is not a request object that a registered key of the app has signed for the issuer, or it has expired.',
    remedy: 'Register the key with "gatehouse app update --jwks-file", and compare iss, aud, exp and the algorithm.',
  },
  request_not_supported: {
    meaning: 'Request objects (the request parameter) are not supported by this endpoint.',
    remedy: 'Send plain parameters, or use pushed authorization requests.',
  },
  invalid_request_uri: {
    meaning: 'The request_uri is not one of a pushed authorization request, has expired, or belongs to another app.',
    remedy: 'Push the request again, and use each request_uri once.',
  },
  request_uri_not_supported: {
    meaning: 'Only a request_uri that the portal has given out for a pushed authorization request is supported.',
    remedy: 'Push the request to the endpoint that discovery lists.',
  },
  registration_not_supported: {
    meaning: 'The registration parameter is not supported. Apps are registered by an operator.',
    remedy: 'Register the app with "gatehouse app create".',
  },
  login_required: {
    meaning:
      'The app asked for prompt=none, and no user is signed in in this browser, or the sign-in is too old (max_age).',
    remedy: 'Send the browser again without prompt=none.',
  },
  interaction_required: {
    meaning: 'The app asked for prompt=none, and the portal has to show a page first.',
    remedy: 'Send the browser again without prompt=none.',
  },
  consent_required: {
    meaning:
      'The app asked for prompt=none, and the user has to confirm something first, or to allow a third-party app what it asks for.',
    remedy: 'Send the browser again without prompt=none.',
  },
  access_denied: {
    meaning: 'The user chose Cancel or Deny, or may not use the app.',
    remedy: 'Show a page with a way to try again.',
  },
  unmet_authentication_requirements: {
    meaning: 'The app asked for a second factor (acr), and the user did not use one.',
    remedy: 'Ask again, or let the user in without what needs it.',
  },
  unsupported_token_type: {
    meaning: 'The endpoint does not know this kind of token.',
    remedy: 'Send a refresh token or an application token of the app.',
  },
  temporarily_unavailable: {
    meaning:
      'The portal is too busy, its database is away for a moment (503), or too many wrong secrets came from this IP address or for this app (429).',
    remedy: 'Wait as long as Retry-After says, then send the same request again. A refresh token stays good.',
  },
  server_error: {
    meaning: 'The portal failed in a way it did not expect. The log has the error under the request id.',
    remedy: 'Try again. If it happens again, look in the log of the portal.',
  },
  misdirected_request: {
    meaning: 'The request was sent to a host other than that of PUBLIC_URL (421).',
    remedy: 'Use the address of PUBLIC_URL. A reverse proxy has to pass the Host header on.',
  },
} as const satisfies Record<string, Explanation>

/** What `reason` says beside `invalid_grant`, when a refresh is refused. */
export const REFUSAL_REASONS: Record<RefusalReason, Explanation> = {
  unknown: {
    meaning: 'The refresh token is not one that the portal issued to this app.',
    remedy: 'Check that the app sends its own token, whole, to the portal that issued it.',
  },
  expired: {
    meaning: 'The family was not used for too long, or has lasted as long as it may.',
    remedy: 'Send the user to sign in again. Nothing is wrong.',
  },
  reused: {
    meaning:
      'The refresh token had been replaced, and was used again later than ROTATION_GRACE allows. The family has ended (reuse detection).',
    remedy:
      'Store each new refresh token before using it, and refresh in one place at a time. With reused_by=app it was an old copy of the app itself; else the token may have been stolen.',
  },
  revoked: {
    meaning: 'The user, an operator or the app has ended the family.',
    remedy: 'Drop what the app keeps of this sign-in. The page /families/<fam> tells the user what happened.',
  },
  identity_disabled: {
    meaning: 'The account of the user is disabled or deleted.',
    remedy: 'Drop what the app keeps of this sign-in. Signing in again will not work.',
  },
  access_withdrawn: {
    meaning: 'The user has withdrawn what they had allowed the app, or an operator the access of the user to the app.',
    remedy:
      'Drop what the app keeps of this sign-in. A new authorization asks the user again, or tells them that they have no access.',
  },
  app_disabled: {
    meaning: 'An operator has disabled the app.',
    remedy: 'Ask the operator. "gatehouse app enable" lets it in again.',
  },
}

/** Where the portal explains errors: a page that needs no network but its own. */
export const ERROR_REFERENCE = '/docs/errors'

export function reasonAnchor(reason: string): string {
  return `reason-${reason}`
}

/** The `error_uri` of an error (RFC 6749 §5.2): its place on the page that explains it. */
export function errorUri(publicUrl: string, { error, reason }: { error: string; reason?: unknown }): string {
  return `${publicUrl}${ERROR_REFERENCE}#${typeof reason === 'string' ? reasonAnchor(reason) : error}`
}
