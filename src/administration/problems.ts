import type { RefusalCode } from '../domain/refused.ts'

/** What the admin API says that is wrong: the HTTP status, a title, and what it means for a developer. */
export interface ProblemKind {
  status: number
  title: string
  meaning: string
  remedy: string
}

export type ProblemCode =
  | RefusalCode
  | 'malformed'
  | 'unauthorized'
  | 'invalid_token'
  | 'invalid_signature'
  | 'insufficient_scope'
  | 'no_such_path'
  | 'method_not_allowed'
  | 'not_acceptable'
  | 'in_progress'
  | 'precondition_failed'
  | 'too_long'
  | 'unsupported_media_type'
  | 'key_reused'
  | 'unavailable'
  | 'server_error'

/** Every problem of the admin API (RFC 9457), by its `code`. */
export const PROBLEMS: Record<ProblemCode, ProblemKind> = {
  malformed: {
    status: 400,
    title: 'Malformed request',
    meaning: 'The body is not JSON, or not an object, or a query parameter is there twice.',
    remedy: 'Read detail. Send one JSON object, and each query parameter once.',
  },
  unauthorized: {
    status: 401,
    title: 'Token needed',
    meaning: 'The request has no application token.',
    remedy: 'Send Authorization: Bearer with a token of a service for the admin API (client_credentials).',
  },
  invalid_token: {
    status: 401,
    title: 'Invalid token',
    meaning:
      'The application token has expired, is for another API, belongs to a user or to a service that is disabled or may not use the admin API any more, or the proof of the key that it is bound to is missing or wrong.',
    remedy:
      'Get a new token for the admin API. A token that is bound to a key needs a new DPoP proof for each request.',
  },
  invalid_signature: {
    status: 401,
    title: 'Invalid signature',
    meaning:
      'A request of the identity source has no HTTP message signature (RFC 9421) with the shared secret, one that is too old, or one that was used before.',
    remedy: 'Read detail. Sign each request anew, with a nonce of its own, and compare the clocks and the secrets.',
  },
  insufficient_scope: {
    status: 403,
    title: 'Scope missing',
    meaning:
      'The token has no scope that allows this operation; WWW-Authenticate names those that do. Or its scopes are narrower than admin:write, and the operation would make an operator, or change the account of one or an app that may use the admin API.',
    remedy: 'Grant the scope with "gatehouse app update --api-scope", and get a new token.',
  },
  no_such_path: {
    status: 404,
    title: 'No such path',
    meaning: 'The admin API has no operation at this path.',
    remedy: 'Compare the path with /api/admin/v1/openapi.json.',
  },
  not_found: {
    status: 404,
    title: 'Not found',
    meaning: 'There is no such thing. detail names it.',
    remedy: 'Check the id or the name.',
  },
  method_not_allowed: {
    status: 405,
    title: 'Method not allowed',
    meaning: 'The path has no operation with this method.',
    remedy: 'Use one of the methods in Allow.',
  },
  not_acceptable: {
    status: 406,
    title: 'Not acceptable',
    meaning: 'The Accept header allows no JSON.',
    remedy: 'Accept application/json.',
  },
  conflict: {
    status: 409,
    title: 'Conflict',
    meaning: 'Something else has this name, or the thing is in a state that does not allow the change.',
    remedy: 'Read detail, look at the thing, and decide again.',
  },
  last_administrator: {
    status: 409,
    title: 'Last administrator',
    meaning: 'The portal would be left without an administrator.',
    remedy: 'Make another identity an administrator first.',
  },
  in_progress: {
    status: 409,
    title: 'In progress',
    meaning: 'A request with the same Idempotency-Key is still being answered.',
    remedy: 'Wait a moment and send the same request again.',
  },
  precondition_failed: {
    status: 412,
    title: 'Changed meanwhile',
    meaning: 'The thing is not as If-Match says: it was changed or deleted since it was read.',
    remedy: 'Read it again, and decide again.',
  },
  too_long: {
    status: 413,
    title: 'Body too long',
    meaning: 'The body of the request is longer than 1 MB.',
    remedy: 'Send less at a time.',
  },
  unsupported_media_type: {
    status: 415,
    title: 'Unsupported media type',
    meaning: 'The body is not application/json, or it is compressed.',
    remedy: 'Send Content-Type: application/json.',
  },
  invalid: {
    status: 422,
    title: 'Invalid value',
    meaning: 'A field is missing, unknown or has a value that is not allowed. errors lists the fields.',
    remedy: 'Correct the fields that errors or detail name.',
  },
  key_reused: {
    status: 422,
    title: 'Idempotency-Key used before',
    meaning: 'The Idempotency-Key was used with another body.',
    remedy: 'Use a new key for each act, and the same key only to repeat it.',
  },
  server_error: {
    status: 500,
    title: 'Server error',
    meaning: 'The portal failed in a way it did not expect. The log has the error under the request id.',
    remedy: 'Try again. If it happens again, look in the log of the portal.',
  },
  unavailable: {
    status: 503,
    title: 'Unavailable',
    meaning: 'The portal is very busy, or its database cannot be reached.',
    remedy: 'Wait as long as Retry-After says, then send the same request again.',
  },
}

/** The anchor of a code in the error reference. */
export function problemAnchor(code: ProblemCode): string {
  return `admin-${code.replaceAll('_', '-')}`
}
