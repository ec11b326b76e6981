import type { NewAuditRow } from '../storage/audit.ts'

export type AuditEvent = NewAuditRow & { kind: AuditKind }

export type AuditKind = PersonalKind | OperatorKind

/** What operators do to the installation, which is on no user's activity page. */
type OperatorKind =
  | 'app_created'
  | 'app_changed'
  | 'app_disabled'
  | 'app_enabled'
  | 'app_secret_rotated'
  | 'api_created'
  | 'api_changed'
  | 'api_deleted'
  | 'api_secret_rotated'
  | 'group_created'
  | 'group_changed'
  | 'group_deleted'
  | 'signing_keys_rotated'
  | 'signing_key_revoked'
  | 'suspension_lifted'
  | 'notices_resent'

/** What happens to an identity; its user reads it on the activity page. */
export type PersonalKind =
  | 'registered'
  | 'signed_in'
  | 'sign_in_refused'
  | 'confirmation_refused'
  | 'signed_out'
  | 'session_ended'
  | 'family_opened'
  | 'family_ended'
  | 'identity_disabled'
  | 'identity_enabled'
  | 'everything_ended'
  | 'second_factors_reset'
  | 'roles_changed'
  | 'app_roles_changed'
  | 'groups_changed'
  | 'attribute_changed'
  | 'profile_changed'
  | 'sign_in_disowned'
  | 'device_forgotten'
  | 'browser_trusted'
  | 'browser_trust_ended'
  | 'data_exported'
  | 'deletion_requested'
  | 'deletion_withdrawn'
  | 'second_factor_added'
  | 'second_factor_removed'
  | 'second_factor_refused'
  | 'passkey_refused'
  | 'recovery_codes_made'
  | 'recovery_code_used'
  | 'address_confirmed'
  | 'address_lost'
  | 'address_change_asked'
  | 'address_change_withdrawn'
  | 'address_changed'
  | 'terms_accepted'
  | 'consent_given'
  | 'consent_withdrawn'
  | 'password_changed'
  | 'password_reset'

/** The detail of a refused sign-in in a browser that this very identity has signed in from before. */
export const KNOWN_BROWSER = 'known'

/** What a signed-in user was asked to confirm when a wrong password or second factor was entered. */
export type Confirmation = 'password-change' | 'identity' | 'second-factor'
