// The closed list of audit events: what the column `kind` may hold. `npm run docs` makes docs/audit-events.md of it.

export interface KindOfEvent {
  /** In one sentence, for operators and their programs. */
  meaning: string
  /** What the column `detail` says; left out where it is empty. */
  detail?: string
}

/** What operators do to the installation, which is on no user's activity page. */
export const OPERATOR_KINDS = {
  app_created: { meaning: 'An app was registered.' },
  app_changed: { meaning: 'An app was changed.', detail: 'what of it' },
  app_disabled: { meaning: 'An app was disabled.' },
  app_enabled: { meaning: 'An app was enabled again.' },
  app_deleted: { meaning: 'An app was deleted.' },
  app_secret_rotated: { meaning: 'An app got a new secret.' },
  app_token_key_rotated: {
    meaning: 'An app got a new key of HS256, and its tokens with the one before are valid no more.',
  },
  app_previous_secret_ended: { meaning: 'The earlier secret of an app was ended.' },
  api_created: { meaning: 'An API was registered.', detail: 'its identifier' },
  api_changed: { meaning: 'An API was changed.', detail: 'its identifier, and what of it' },
  api_deleted: { meaning: 'An API was deleted.', detail: 'its identifier' },
  api_secret_rotated: { meaning: 'An API got a new secret.', detail: 'its identifier' },
  api_previous_secret_ended: { meaning: 'The earlier secret of an API was ended.', detail: 'its identifier' },
  group_created: { meaning: 'A group was created.', detail: 'its name' },
  group_changed: { meaning: 'A group was changed.', detail: 'its name, and what of it' },
  group_deleted: { meaning: 'A group was deleted.', detail: 'its name' },
  invitation_created: { meaning: 'A person was invited.', detail: 'the e-mail address, and the roles' },
  invitation_resent: { meaning: 'An invitation was sent again.', detail: 'the e-mail address, and the roles' },
  invitation_revoked: { meaning: 'An invitation was withdrawn.', detail: 'the e-mail address, and the roles' },
  first_administrator_link_made: { meaning: 'A link was made with which the first administrator can register.' },
  registration_changed: { meaning: 'Who may register was changed.', detail: 'the new value' },
  identity_provider_created: {
    meaning: 'Another provider was registered, with which users sign in.',
    detail: 'its id',
  },
  identity_provider_changed: { meaning: 'Another provider was changed.', detail: 'its id, and what of it' },
  identity_provider_disabled: { meaning: 'Another provider was disabled.', detail: 'its id' },
  identity_provider_enabled: { meaning: 'Another provider was enabled again.', detail: 'its id' },
  identity_provider_deleted: { meaning: 'Another provider was deleted, and its accounts unlinked.', detail: 'its id' },
  signing_keys_rotated: { meaning: 'New signing keys were made.', detail: 'their key ids' },
  signing_key_revoked: { meaning: 'A signing key was revoked.', detail: 'its key id' },
  root_secrets_rewrapped: { meaning: 'What an earlier root secret encrypted was encrypted under the newest one.' },
  root_secrets_forgotten: { meaning: 'Earlier root secrets were forgotten.' },
  suspension_lifted: { meaning: 'The block of an IP address was lifted.' },
  notices_resent: { meaning: 'Notifications to an app that had been given up were queued again.', detail: 'how many' },
  mails_resent: { meaning: 'Mails that had been given up were queued again.', detail: 'how many' },
  test_mail_sent: { meaning: 'A test mail was sent.' },
  test_notification_sent: { meaning: 'A test notification was sent to an app.', detail: 'its kind, and the outcome' },
  exported: { meaning: 'The installation was exported.' },
  imported: { meaning: 'The installation was imported from an export.' },
  operation_refused: {
    meaning: 'An operator asked for what they may not do, or a user for a page of operators.',
    detail: 'the operation, or the method and path of the page',
  },
} as const satisfies Record<string, KindOfEvent>

/** What happens to an identity; its user reads it on the activity page. */
export const PERSONAL_KINDS = {
  registered: { meaning: 'An account was created.' },
  signed_in: { meaning: 'A user signed in.', detail: 'the methods, and whether the browser was new' },
  sign_in_refused: {
    meaning: 'A sign-in was refused.',
    detail: '`known` in a browser that the account had signed in from before',
  },
  confirmation_refused: { meaning: 'A signed-in user had to confirm a change, and was refused.', detail: 'what for' },
  signed_out: { meaning: 'A user signed out.' },
  session_ended: { meaning: 'The sign-in of a browser ended otherwise.' },
  family_opened: { meaning: 'An app was connected.', detail: '`silent` or `renewal`, where the user was not asked' },
  family_ended: { meaning: 'The connection of an app ended.' },
  identity_disabled: { meaning: 'An account was disabled.' },
  identity_enabled: { meaning: 'An account was enabled again.' },
  everything_ended: { meaning: 'Every sign-in and connection of an account was ended.' },
  second_factors_reset: { meaning: 'The second factors of an account were removed by an operator.' },
  roles_changed: { meaning: 'An account got other roles.', detail: 'all of its roles' },
  app_roles_changed: {
    meaning: 'An account got other roles in an app.',
    detail: 'all of its roles there, or the one that went with `-` before it',
  },
  groups_changed: { meaning: 'The groups of an account changed.', detail: 'the groups' },
  attribute_changed: { meaning: 'An attribute of an account was changed.', detail: 'its name' },
  profile_changed: { meaning: 'The profile of an account was changed.', detail: 'the names of the fields' },
  user_name_changed: { meaning: 'The user name of an account was changed.' },
  reset_sent: { meaning: 'An operator had a link for a new password sent.' },
  attempts_reset: { meaning: 'An operator let an account sign in without a wait.' },
  sign_in_disowned: { meaning: 'A user reported that a sign-in was not theirs.' },
  device_forgotten: { meaning: 'A user removed a browser from those that are known.' },
  browser_trusted: { meaning: 'A user let a browser skip the second step for a while.' },
  browser_trust_ended: { meaning: 'That was ended.', detail: 'which browsers' },
  data_exported: { meaning: 'The data of an account was exported.' },
  deletion_requested: { meaning: 'An account was deleted; it can still be kept for a while.' },
  deletion_withdrawn: { meaning: 'A deleted account was kept after all.' },
  account_linked: {
    meaning: 'An account at another provider was linked, with which its user signs in.',
    detail: 'the provider',
  },
  account_unlinked: { meaning: 'An account at another provider was unlinked.', detail: 'the provider' },
  second_factor_added: { meaning: 'An authenticator app or a passkey was added.', detail: 'its kind and name' },
  second_factor_removed: { meaning: 'An authenticator app or a passkey was removed.', detail: 'its kind and name' },
  second_factor_refused: {
    meaning: 'The second step of a sign-in was refused.',
    detail: '`known` in a browser that the account had signed in from before',
  },
  passkey_refused: {
    meaning: 'A passkey was refused because its counter went back: it may have been copied.',
    detail: 'its name',
  },
  recovery_codes_made: { meaning: 'New recovery codes were made.' },
  recovery_code_used: { meaning: 'A recovery code was used.' },
  address_confirmed: { meaning: 'The e-mail address of an account was confirmed.' },
  address_lost: { meaning: 'An account lost its e-mail address to another one, which has confirmed it.' },
  address_change_asked: { meaning: 'A user asked for another e-mail address.' },
  address_change_withdrawn: { meaning: 'A user withdrew that.' },
  address_changed: { meaning: 'An account has another e-mail address.' },
  terms_accepted: { meaning: 'A user accepted the terms of use.', detail: 'their version' },
  consent_given: { meaning: 'A user let a third-party app have data.' },
  consent_withdrawn: { meaning: 'A user withdrew that.' },
  password_changed: { meaning: 'A user changed the password.' },
  password_reset: { meaning: 'A user set a new password by a mailed link.' },
} as const satisfies Record<string, KindOfEvent>

export type PersonalKind = keyof typeof PERSONAL_KINDS

export type AuditKind = PersonalKind | keyof typeof OPERATOR_KINDS
