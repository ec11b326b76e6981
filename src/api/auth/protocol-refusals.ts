import { CODES, type SimpleCode, SimpleRefusal } from './codes.ts'
import type { InnerAnswer } from './call.ts'

/** The refusal of an endpoint of the protocol, as one of this API. */
export function refusalOf({ status, headers, body }: InnerAnswer): SimpleRefusal {
  const { error, error_description: words, reason, ...rest } = body ?? {}
  const description = typeof words === 'string' ? words : undefined
  if (status === 429) {
    const seconds = Number(headers['retry-after'] ?? rest['retry_after'] ?? 1)
    return new SimpleRefusal('throttled', description, { retry_after: seconds, ...pick(rest, 'auth_session') })
  }
  if (status === 503)
    return new SimpleRefusal('unavailable', undefined, { retry_after: Number(headers['retry-after'] ?? 5) })
  switch (error) {
    case 'invalid_grant':
      return new SimpleRefusal(codeOfReason(reason), description, { reason, ...pick(rest, 'fam') })
    case 'invalid_session':
      return new SimpleRefusal('session_invalid', description)
    case 'redirect_to_web':
      return new SimpleRefusal('browser_required', description, pick(rest, 'request_uri', 'expires_in'))
    case 'insufficient_authorization':
      return stepRefusal(reason, description, rest)
    default: {
      const isKnown = typeof error === 'string' && Object.hasOwn(CODES, error)
      if (!isKnown && status >= 500) return new SimpleRefusal('server_error')
      return new SimpleRefusal(isKnown ? (error as SimpleCode) : 'invalid_request', description)
    }
  }
}

/** An address gets no more mails within this time (seconds). */
const MAILS_AFTER = 3600

/** What a step of a direct sign-in asks for, or refuses. */
function stepRefusal(
  reason: unknown,
  description: string | undefined,
  { next, problems, ...rest }: Record<string, unknown>,
): SimpleRefusal {
  if (reason === 'credentials_invalid' || reason === 'registration_closed' || reason === 'role_not_assignable')
    return new SimpleRefusal(reason)
  if (reason === 'registration_invalid')
    return new SimpleRefusal('registration_refused', undefined, { fields: problems })
  const asked = { next, ...pick(rest, 'auth_session', 'expires_in', 'passkey_options') }
  if (reason === 'mail_limited')
    return new SimpleRefusal('throttled', description, { ...asked, retry_after: MAILS_AFTER })
  if (Array.isArray(next) && next.includes('email_code'))
    return new SimpleRefusal(reason === 'code_invalid' ? 'email_code_invalid' : 'email_code_required', undefined, asked)
  if (reason === 'code_invalid' || reason === 'passkey_invalid')
    return new SimpleRefusal('second_factor_invalid', undefined, asked)
  if (Array.isArray(next) && next.includes('terms'))
    return new SimpleRefusal('terms_required', undefined, { ...asked, ...pick(rest, 'terms_version', 'terms_uri') })
  const isFactor =
    Array.isArray(next) && next.some((each) => each === 'totp' || each === 'recovery_code' || each === 'passkey')
  if (isFactor && !next.includes('password')) return new SimpleRefusal('second_factor_required', undefined, asked)
  if (Array.isArray(next) && next.includes('password'))
    return new SimpleRefusal('invalid_request', 'username or email, and password, are needed')
  return new SimpleRefusal('step_required', description, asked)
}

/** Of a refused refresh, and of an inactive token. */
export function codeOfReason(reason: unknown): SimpleCode {
  switch (reason) {
    case 'expired':
      return 'token_expired'
    case 'claims_changed':
      return 'token_outdated'
    case 'reused':
    case 'revoked':
    case 'family_ended':
    case 'identity_disabled':
    case 'app_disabled':
    case 'access_withdrawn':
      return 'family_ended'
    default:
      return 'token_invalid'
  }
}

function pick(from: Record<string, unknown>, ...names: string[]): Record<string, unknown> {
  return Object.fromEntries(names.filter((name) => from[name] !== undefined).map((name) => [name, from[name]]))
}
