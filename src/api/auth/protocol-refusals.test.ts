import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CODES, type SimpleCode } from './codes.ts'
import { refusalOf } from './protocol-refusals.ts'

const missing = (next: string[], reason?: string) => ({ error: 'insufficient_authorization', next, reason })

/** What an endpoint of the protocol answers, and what a client of the simple API gets for it. */
const TABLE: [number, Record<string, unknown> | null, SimpleCode][] = [
  [403, missing(['password'], 'credentials_invalid'), 'credentials_invalid'],
  [403, missing(['password', 'passkey']), 'invalid_request'],
  [403, missing(['totp', 'recovery_code']), 'second_factor_required'],
  [403, missing(['passkey']), 'second_factor_required'],
  [403, missing(['totp'], 'code_invalid'), 'second_factor_invalid'],
  [403, missing(['passkey'], 'passkey_invalid'), 'second_factor_invalid'],
  [403, missing(['email_code']), 'email_code_required'],
  [403, missing(['email_code'], 'code_invalid'), 'email_code_invalid'],
  [403, missing(['email_code'], 'mail_limited'), 'throttled'],
  [403, missing(['terms']), 'terms_required'],
  [403, missing(['terms'], 'terms_outdated'), 'terms_required'],
  [403, missing(['registration'], 'registration_invalid'), 'registration_refused'],
  [403, missing(['registration'], 'role_not_assignable'), 'role_not_assignable'],
  [403, missing(['password'], 'registration_closed'), 'registration_closed'],
  [403, missing(['something_new']), 'step_required'],
  [403, { error: 'redirect_to_web' }, 'browser_required'],
  [400, { error: 'access_denied' }, 'access_denied'],
  [400, { error: 'invalid_session' }, 'session_invalid'],
  [400, { error: 'invalid_grant', reason: 'unknown' }, 'token_invalid'],
  [400, { error: 'invalid_grant', reason: 'expired' }, 'token_expired'],
  [400, { error: 'invalid_grant', reason: 'reused' }, 'family_ended'],
  [400, { error: 'invalid_grant', reason: 'revoked' }, 'family_ended'],
  [400, { error: 'invalid_grant', reason: 'identity_disabled' }, 'family_ended'],
  [400, { error: 'invalid_grant' }, 'token_invalid'],
  [401, { error: 'invalid_client' }, 'invalid_client'],
  [400, { error: 'invalid_dpop_proof' }, 'invalid_dpop_proof'],
  [400, { error: 'toString' }, 'invalid_request'],
  [429, { error: 'temporarily_unavailable', retry_after: 7 }, 'throttled'],
  [503, { error: 'temporarily_unavailable' }, 'unavailable'],
  [500, { error: 'server_error' }, 'server_error'],
  [502, null, 'server_error'],
]

test('every refusal of the protocol has a code, a status of its own kind, and when to try again', () => {
  for (const [status, body, code] of TABLE) {
    const refusal = refusalOf({ status, headers: {}, body })
    assert.equal(refusal.code, code, JSON.stringify(body))
    if (CODES[refusal.code].status === 429 || CODES[refusal.code].status === 503)
      assert.ok((refusal.details['retry_after'] as number) > 0, JSON.stringify(body))
  }
})
