/** What a client of the simple API gets in `error`. */
interface Code {
  status: number
  meaning: string
  /** What to do about it. */
  remedy: string
}

/** Every code of the simple API. A client acts on these, and never on words. */
export const CODES = {
  invalid_request: {
    status: 400,
    meaning: 'The request is malformed: a field is missing, unknown or of the wrong type. fields names it.',
    remedy: 'Compare the request with /api/auth/openapi.json.',
  },
  invalid_scope: {
    status: 400,
    meaning: 'The app asked for a scope that it may not have, or in a refresh for more than before.',
    remedy: 'Ask only for scopes that "gatehouse app show" lists.',
  },
  invalid_dpop_proof: {
    status: 400,
    meaning: 'The DPoP proof is missing, too old, used before, or for another URL or key.',
    remedy: 'Make a new proof for each request, with its own URL as htu.',
  },
  session_invalid: {
    status: 400,
    meaning: 'The auth_session is unknown, used or expired, or of another app or key.',
    remedy: 'Begin the login again.',
  },
  invalid_client: {
    status: 401,
    meaning: 'The app is unknown or disabled, or its secret is wrong or missing.',
    remedy: 'Send the client id and the secret with HTTP Basic or as client_id and client_secret.',
  },
  credentials_invalid: {
    status: 401,
    meaning: 'The user name, the e-mail address or the password is wrong. It does not say which.',
    remedy: 'Let the user try again.',
  },
  token_expired: {
    status: 401,
    meaning: 'The token was good, and has expired.',
    remedy: 'An application token: refresh. A refresh token: let the user log in.',
  },
  token_outdated: {
    status: 401,
    meaning: 'What the application token claims, such as roles, has changed since.',
    remedy: 'Refresh.',
  },
  token_invalid: {
    status: 401,
    meaning: 'The token is none of this app, or none at all. A public app is told no more than this.',
    remedy: 'Refresh once. If that is refused, too, let the user log in.',
  },
  family_ended: {
    status: 401,
    meaning: 'What the token belongs to has ended: by the user, an operator, a sign-out or reuse of a refresh token.',
    remedy: 'Forget the tokens, and let the user log in.',
  },
  simple_api_off: {
    status: 403,
    meaning: 'The app may not use this API.',
    remedy: '"gatehouse app update <client-id> --simple-api" allows it.',
  },
  second_factor_required: {
    status: 403,
    meaning: 'The password is right, and a second factor is missing. next lists what can be sent.',
    remedy: 'Ask the user, and send it to /api/auth/login with the auth_session, which works once.',
  },
  second_factor_invalid: {
    status: 403,
    meaning: 'The second factor was wrong, or was used before.',
    remedy: 'Let the user try again, with the new auth_session.',
  },
  email_code_required: {
    status: 403,
    meaning: 'A code was sent to the e-mail address, which must be confirmed.',
    remedy:
      'Ask the user for it, and send it as email_code to /api/auth/login with the auth_session, which works once.',
  },
  email_code_invalid: {
    status: 403,
    meaning: 'The code from the mail was wrong, or is no longer valid.',
    remedy: 'Let the user try again, or send send_email_code for another, with the new auth_session.',
  },
  step_required: {
    status: 403,
    meaning: 'The login needs something else of the user. next names it.',
    remedy: 'Use the authorization challenge endpoint, or send the user to the pages of the portal.',
  },
  browser_required: {
    status: 403,
    meaning:
      'The user must do something that only a page of the portal can ask, such as keeping an account that is about to be deleted.',
    remedy: 'Open the portal in a browser, then log in again.',
  },
  access_denied: {
    status: 403,
    meaning: 'The user may not enter this app.',
    remedy: 'Ask an operator.',
  },
  registration_closed: {
    status: 403,
    meaning: 'Strangers cannot register at this portal.',
    remedy: 'Ask an operator for an invitation (REGISTRATION).',
  },
  not_found: { status: 404, meaning: 'There is no such path.', remedy: 'Compare it with /api/auth/openapi.json.' },
  method_not_allowed: { status: 405, meaning: 'The path has another method.', remedy: 'Look at the header Allow.' },
  body_too_long: { status: 413, meaning: 'The body is longer than 32 KiB.', remedy: 'Send less.' },
  unsupported_media_type: {
    status: 415,
    meaning: 'The body is not JSON.',
    remedy: 'Send JSON in UTF-8 with Content-Type: application/json.',
  },
  misdirected_request: {
    status: 421,
    meaning: 'The portal does not answer for this host.',
    remedy: 'Use the host of PUBLIC_URL.',
  },
  registration_refused: {
    status: 422,
    meaning: 'The user name, e-mail address or password cannot be used. fields says why.',
    remedy: 'Show the words beside the fields.',
  },
  role_not_assignable: {
    status: 422,
    meaning: 'Users cannot give themselves one of the roles.',
    remedy: 'Ask for roles that "gatehouse app update --self-assignable-role" has named.',
  },
  terms_required: {
    status: 403,
    meaning: 'The terms of use must be accepted.',
    remedy: 'Show them (terms_uri), and send terms_version with the auth_session to /api/auth/login.',
  },
  throttled: {
    status: 429,
    meaning: 'Too many tries were wrong, or there were too many.',
    remedy: 'Wait for retry_after seconds. Where there is an auth_session, go on with that one.',
  },
  server_error: { status: 500, meaning: 'The portal made a mistake.', remedy: 'Operators: look at its log.' },
  unavailable: { status: 503, meaning: 'A store of the portal does not answer.', remedy: 'Try again in a moment.' },
} as const satisfies Record<string, Code>

export type SimpleCode = keyof typeof CODES

/** Where a code is explained on the page of errors. */
export function simpleAnchor(code: SimpleCode): string {
  return `auth-${code.replaceAll('_', '-')}`
}

/** A request to the simple API is refused. */
export class SimpleRefusal extends Error {
  readonly code: SimpleCode
  /** What else the answer says. */
  readonly details: Record<string, unknown>

  constructor(code: SimpleCode, description: string = CODES[code].meaning, details: Record<string, unknown> = {}) {
    super(description)
    this.code = code
    this.details = details
  }
}
