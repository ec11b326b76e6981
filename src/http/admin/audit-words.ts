import type { AuditKind } from '../../domain/audit-events.ts'
import { END_CAUSES, type EndCause } from '../../domain/endings/end-causes.ts'
import { REFUSAL_REASONS, type RefusalReason } from '../../domain/refusals.ts'
import { type Message, message, type MessageKey } from '../../i18n/messages.ts'

/** What an operator reads of an audit event. */
interface AuditEventOfWords {
  kind: string
  username: string | null
  identity_id: string | null
  client_id: string | null
  app_name: string | null
  cause: string | null
  detail: string | null
  actor: string | null
  actor_address: string | null
}

/** The sentence of each kind of audit event; it may use `who`, `app`, `cause` and `detail`. */
export const AUDIT_SENTENCES = {
  app_created: 'admin.audit.kinds.app_created',
  app_changed: 'admin.audit.kinds.app_changed',
  app_disabled: 'admin.audit.kinds.app_disabled',
  app_enabled: 'admin.audit.kinds.app_enabled',
  app_deleted: 'admin.audit.kinds.app_deleted',
  test_notification_sent: 'admin.audit.kinds.test_notification_sent',
  exported: 'admin.audit.kinds.exported',
  imported: 'admin.audit.kinds.imported',
  app_secret_rotated: 'admin.audit.kinds.app_secret_rotated',
  app_token_key_rotated: 'admin.audit.kinds.app_token_key_rotated',
  app_previous_secret_ended: 'admin.audit.kinds.app_previous_secret_ended',
  api_created: 'admin.audit.kinds.api_created',
  api_changed: 'admin.audit.kinds.api_changed',
  api_deleted: 'admin.audit.kinds.api_deleted',
  api_secret_rotated: 'admin.audit.kinds.api_secret_rotated',
  api_previous_secret_ended: 'admin.audit.kinds.api_previous_secret_ended',
  group_created: 'admin.audit.kinds.group_created',
  group_changed: 'admin.audit.kinds.group_changed',
  group_deleted: 'admin.audit.kinds.group_deleted',
  identity_provider_created: 'admin.audit.kinds.identity_provider_created',
  identity_provider_changed: 'admin.audit.kinds.identity_provider_changed',
  identity_provider_disabled: 'admin.audit.kinds.identity_provider_disabled',
  identity_provider_enabled: 'admin.audit.kinds.identity_provider_enabled',
  identity_provider_deleted: 'admin.audit.kinds.identity_provider_deleted',
  signing_keys_rotated: 'admin.audit.kinds.signing_keys_rotated',
  signing_key_revoked: 'admin.audit.kinds.signing_key_revoked',
  root_secrets_rewrapped: 'admin.audit.kinds.root_secrets_rewrapped',
  root_secrets_forgotten: 'admin.audit.kinds.root_secrets_forgotten',
  suspension_lifted: 'admin.audit.kinds.suspension_lifted',
  notices_resent: 'admin.audit.kinds.notices_resent',
  mails_resent: 'admin.audit.kinds.mails_resent',
  test_mail_sent: 'admin.audit.kinds.test_mail_sent',
  registered: 'admin.audit.kinds.registered',
  signed_in: 'admin.audit.kinds.signed_in',
  sign_in_refused: 'admin.audit.kinds.sign_in_refused',
  confirmation_refused: 'admin.audit.kinds.confirmation_refused',
  signed_out: 'admin.audit.kinds.signed_out',
  session_ended: 'admin.audit.kinds.session_ended',
  family_opened: 'admin.audit.kinds.family_opened',
  family_ended: 'admin.audit.kinds.family_ended',
  identity_disabled: 'admin.audit.kinds.identity_disabled',
  identity_enabled: 'admin.audit.kinds.identity_enabled',
  everything_ended: 'admin.audit.kinds.everything_ended',
  second_factors_reset: 'admin.audit.kinds.second_factors_reset',
  roles_changed: 'admin.audit.kinds.roles_changed',
  app_roles_changed: 'admin.audit.kinds.app_roles_changed',
  groups_changed: 'admin.audit.kinds.groups_changed',
  attribute_changed: 'admin.audit.kinds.attribute_changed',
  profile_changed: 'admin.audit.kinds.profile_changed',
  sign_in_disowned: 'admin.audit.kinds.sign_in_disowned',
  device_forgotten: 'admin.audit.kinds.device_forgotten',
  browser_trusted: 'admin.audit.kinds.browser_trusted',
  browser_trust_ended: 'admin.audit.kinds.browser_trust_ended',
  data_exported: 'admin.audit.kinds.data_exported',
  deletion_requested: 'admin.audit.kinds.deletion_requested',
  deletion_withdrawn: 'admin.audit.kinds.deletion_withdrawn',
  account_linked: 'admin.audit.kinds.account_linked',
  account_unlinked: 'admin.audit.kinds.account_unlinked',
  second_factor_added: 'admin.audit.kinds.second_factor_added',
  second_factor_removed: 'admin.audit.kinds.second_factor_removed',
  second_factor_refused: 'admin.audit.kinds.second_factor_refused',
  passkey_refused: 'admin.audit.kinds.passkey_refused',
  recovery_codes_made: 'admin.audit.kinds.recovery_codes_made',
  recovery_code_used: 'admin.audit.kinds.recovery_code_used',
  address_confirmed: 'admin.audit.kinds.address_confirmed',
  address_lost: 'admin.audit.kinds.address_lost',
  address_change_asked: 'admin.audit.kinds.address_change_asked',
  address_change_withdrawn: 'admin.audit.kinds.address_change_withdrawn',
  address_changed: 'admin.audit.kinds.address_changed',
  terms_accepted: 'admin.audit.kinds.terms_accepted',
  consent_given: 'admin.audit.kinds.consent_given',
  consent_withdrawn: 'admin.audit.kinds.consent_withdrawn',
  password_changed: 'admin.audit.kinds.password_changed',
  password_reset: 'admin.audit.kinds.password_reset',
  invitation_created: 'admin.audit.kinds.invitation_created',
  invitation_resent: 'admin.audit.kinds.invitation_resent',
  invitation_revoked: 'admin.audit.kinds.invitation_revoked',
  registration_changed: 'admin.audit.kinds.registration_changed',
  user_name_changed: 'admin.audit.kinds.user_name_changed',
  reset_sent: 'admin.audit.kinds.reset_sent',
  attempts_reset: 'admin.audit.kinds.attempts_reset',
  first_administrator_link_made: 'admin.audit.kinds.first_administrator_link_made',
  operation_refused: 'admin.audit.kinds.operation_refused',
} as const satisfies Record<AuditKind, MessageKey>

function reasonOf(cause: string | null): string {
  return cause !== null && Object.hasOwn(REFUSAL_REASONS, cause)
    ? REFUSAL_REASONS[cause as RefusalReason]
    : (cause ?? 'no reason was written down')
}

/** What happened, to whom, and why. */
export function auditSentence(event: AuditEventOfWords & { address: string | null }): Message {
  const { kind, cause, detail, address } = event
  const key = Object.hasOwn(AUDIT_SENTENCES, kind) ? AUDIT_SENTENCES[kind as AuditKind] : 'admin.audit.kinds.other'
  const known = cause !== null && Object.hasOwn(END_CAUSES, cause) ? END_CAUSES[cause as EndCause].words : cause
  return message(key, {
    kind,
    who: event.username ?? message('admin.audit.unknown_account'),
    app: event.app_name ?? event.client_id ?? '',
    cause: known ?? '',
    reason: reasonOf(cause),
    detail: detail ?? '–',
    address: address ?? '–',
  })
}
