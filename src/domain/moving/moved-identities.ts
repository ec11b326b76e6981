import { type MovedTable, names } from './moved-table.ts'

export const MOVED_REGISTRATION_DOMAINS: MovedTable = {
  table: 'registration_domains',
  key: 'domain',
  columns: names('domain'),
}

export const MOVED_GROUPS: MovedTable = {
  table: 'groups',
  key: 'id',
  columns: names('id name name_key description roles external_id created_at updated_at is_deleted'),
}

/** Their links go on working, because the key that tags them is moved, too. */
export const MOVED_INVITATIONS: MovedTable = {
  table: 'invitations',
  key: 'id',
  columns: names('id email email_key roles group_ids invited_by created_at sent_at expires_at sent_count'),
}

export const MOVED_IDENTITY_PROVIDERS: MovedTable = {
  table: 'identity_providers',
  key: 'id',
  columns: names(
    'id name kind issuer client_id encrypted_secret scopes domains registration keeps_tokens created_at updated_at disabled_at',
  ),
  sealed: { column: 'encrypted_secret', id: 'id', purpose: 'providerSecretEncryption' },
}

const PARTS = {
  user_name_skeletons: 'skeleton identity_id',
  group_members: 'group_id identity_id added_at is_outdated',
  directory_users: 'identity_id user_name user_name_key external_id attributes updated_at',
  devices: `identity_id hash first_seen_at last_seen_at browser address name trusted_until passkey_offered_at has_passkey`,
  passkeys: `id identity_id credential_id public_key counter transports backed_up discoverable is_second_step name
    created_at last_used_at`,
  recovery_codes: 'identity_id hash created_at used_at',
  consents: 'identity_id client_id scopes resources given_at updated_at',
  introductions: 'identity_id client_id read_at',
}

/** Identities with everything that decides how they sign in, and what they may. */
export const MOVED_IDENTITIES: MovedTable = {
  table: 'identities',
  key: 'id',
  columns:
    names(`id username username_key has_skeletons email email_key email_verified password_hash password_stands_alone
    roles assigned_roles groups group_ids claims_version sign_outs created_at updated_at disabled_at declines_passkeys locale
    zoneinfo terms_version terms_accepted_at erased_from name given_name family_name name_key family_name_key nickname picture
    phone_number address attributes app_roles source_id disabled_by_source`),
  parts: [
    ...Object.entries(PARTS).map(([table, columns]) => ({ table, of: 'identity_id', columns: names(columns) })),
    {
      table: 'totp_keys',
      of: 'identity_id',
      columns: names('id identity_id name encrypted_secret last_step created_at last_used_at'),
      sealed: { column: 'encrypted_secret', id: 'id', purpose: 'totpKeyEncryption' },
    },
    {
      table: 'linked_accounts',
      of: 'identity_id',
      columns: names(
        'id identity_id provider_id subject email first_password_mark encrypted_tokens created_at last_used_at',
      ),
      sealed: { column: 'encrypted_tokens', id: 'id', purpose: 'upstreamTokenEncryption' },
    },
  ],
}
