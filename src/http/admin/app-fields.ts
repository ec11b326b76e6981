import { message } from '../../i18n/messages.ts'
import type { SettingField } from './setting-fields.ts'

const choice = (value: string, label: ReturnType<typeof message>) => ({ value, label })

/** Every setting of an app on the admin pages: what it is, in plain words. */
const FIELDS = {
  name: { kind: 'text', label: message('admin.app_fields.name'), hint: message('admin.app_fields.name_hint') },
  description: {
    kind: 'text',
    isOptional: true,
    label: message('admin.app_fields.description'),
    hint: message('admin.app_fields.description_hint'),
  },
  home_uri: {
    kind: 'text',
    isOptional: true,
    label: message('admin.app_fields.home_uri'),
    hint: message('admin.app_fields.home_uri_hint'),
  },
  colour: {
    kind: 'text',
    isOptional: true,
    label: message('admin.app_fields.colour'),
    hint: message('admin.app_fields.colour_hint'),
  },
  first_time_notice: { kind: 'check', label: message('admin.app_fields.first_time_notice') },
  redirect_uris: {
    kind: 'lines',
    label: message('admin.app_fields.redirect_uris'),
    hint: message('admin.app_fields.redirect_uris_hint'),
  },
  post_logout_redirect_uris: {
    kind: 'lines',
    label: message('admin.app_fields.post_logout_redirect_uris'),
    hint: message('admin.app_fields.post_logout_redirect_uris_hint'),
  },
  backchannel_logout_uri: {
    kind: 'text',
    isOptional: true,
    label: message('admin.app_fields.backchannel_logout_uri'),
    hint: message('admin.app_fields.backchannel_logout_uri_hint'),
  },
  event_receiver_uri: {
    kind: 'text',
    isOptional: true,
    label: message('admin.app_fields.event_receiver_uri'),
    hint: message('admin.app_fields.event_receiver_uri_hint'),
  },
  access: {
    kind: 'choice',
    label: message('admin.app_fields.access'),
    choices: [
      choice('everyone', message('admin.app_fields.access_everyone')),
      choice('assigned', message('admin.app_fields.access_assigned')),
    ],
  },
  allowed_roles: {
    kind: 'lines',
    label: message('admin.app_fields.allowed_roles'),
    hint: message('admin.app_fields.allowed_roles_hint'),
  },
  allowed_groups: {
    kind: 'lines',
    label: message('admin.app_fields.allowed_groups'),
    hint: message('admin.app_fields.allowed_groups_hint'),
  },
  third_party: {
    kind: 'check',
    label: message('admin.app_fields.third_party'),
    hint: message('admin.app_fields.third_party_hint'),
  },
  first_party_direct: {
    kind: 'check',
    label: message('admin.app_fields.first_party_direct'),
    hint: message('admin.app_fields.first_party_direct_hint'),
  },
  simple_api: {
    kind: 'check',
    label: message('admin.app_fields.simple_api'),
    hint: message('admin.app_fields.simple_api_hint'),
  },
  self_assignable_roles: {
    kind: 'lines',
    label: message('admin.app_fields.self_assignable_roles'),
    hint: message('admin.app_fields.self_assignable_roles_hint'),
  },
  application_token_ttl: {
    kind: 'number',
    label: message('admin.app_fields.application_token_ttl'),
    hint: message('admin.app_fields.application_token_ttl_hint'),
  },
  family_lifetime: {
    kind: 'choice',
    label: message('admin.app_fields.family_lifetime'),
    choices: [
      choice('', message('admin.app_fields.as_portal')),
      choice('session', message('admin.app_fields.family_lifetime_session')),
      choice('browser', message('admin.app_fields.family_lifetime_browser')),
      choice('offline', message('admin.app_fields.family_lifetime_offline')),
    ],
  },
  family_renewal: {
    kind: 'choice',
    label: message('admin.app_fields.family_renewal'),
    choices: [
      choice('', message('admin.app_fields.as_portal')),
      choice('never', message('admin.app_fields.family_renewal_never')),
      choice('sign-in', message('admin.app_fields.family_renewal_sign_in')),
    ],
  },
  family_idle: {
    kind: 'number',
    label: message('admin.app_fields.family_idle'),
    hint: message('admin.app_fields.seconds_hint'),
  },
  family_max: {
    kind: 'number',
    label: message('admin.app_fields.family_max'),
    hint: message('admin.app_fields.seconds_hint'),
  },
  rotation_grace: {
    kind: 'number',
    label: message('admin.app_fields.rotation_grace'),
    hint: message('admin.app_fields.rotation_grace_hint'),
  },
  rotation_grace_proven: {
    kind: 'number',
    label: message('admin.app_fields.rotation_grace_proven'),
    hint: message('admin.app_fields.rotation_grace_proven_hint'),
  },
  offline: {
    kind: 'check',
    label: message('admin.app_fields.offline'),
    hint: message('admin.app_fields.offline_hint'),
  },
  scope: { kind: 'text', label: message('admin.app_fields.scope'), hint: message('admin.app_fields.scope_hint') },
  audience: {
    kind: 'text',
    label: message('admin.app_fields.audience'),
    hint: message('admin.app_fields.audience_hint'),
  },
  id_token_alg: {
    kind: 'choice',
    label: message('admin.app_fields.id_token_alg'),
    choices: [
      choice('RS256', message('admin.app_fields.alg_rs256')),
      choice('ES256', message('admin.app_fields.alg_es256')),
      choice('EdDSA', message('admin.app_fields.alg_eddsa')),
      choice('HS256', message('admin.app_fields.alg_hs256')),
    ],
    hint: message('admin.app_fields.shared_alg_hint'),
  },
  application_token_alg: {
    kind: 'choice',
    label: message('admin.app_fields.application_token_alg'),
    choices: [
      choice('ES256', message('admin.app_fields.alg_es256')),
      choice('HS256', message('admin.app_fields.alg_hs256')),
    ],
    hint: message('admin.app_fields.shared_alg_hint'),
  },
  refresh_id_token: { kind: 'check', label: message('admin.app_fields.refresh_id_token') },
  id_token_claims: {
    kind: 'lines',
    label: message('admin.app_fields.id_token_claims'),
    hint: message('admin.app_fields.claims_hint'),
  },
  application_token_claims: {
    kind: 'lines',
    label: message('admin.app_fields.application_token_claims'),
    hint: message('admin.app_fields.claims_hint'),
  },
  claims: {
    kind: 'pairs',
    label: message('admin.app_fields.attribute_claims'),
    hint: message('admin.app_fields.attribute_claims_hint'),
  },
  pairwise: {
    kind: 'check',
    label: message('admin.app_fields.pairwise'),
    hint: message('admin.app_fields.pairwise_hint'),
  },
  apis: { kind: 'grants', label: message('admin.app_fields.apis'), hint: message('admin.app_fields.apis_hint') },
  exchange_for: {
    kind: 'grants',
    label: message('admin.app_fields.exchange_for'),
    hint: message('admin.app_fields.exchange_for_hint'),
  },
  auth_method: {
    kind: 'choice',
    label: message('admin.app_fields.auth_method'),
    choices: [
      choice('client_secret_basic', message('admin.app_fields.auth_secret')),
      choice('private_key_jwt', message('admin.app_fields.auth_keys')),
      choice('tls_client_auth', message('admin.app_fields.auth_tls')),
      choice('self_signed_tls_client_auth', message('admin.app_fields.auth_self_signed')),
    ],
  },
  jwks: { kind: 'keys', label: message('admin.app_fields.jwks'), hint: message('admin.app_fields.jwks_hint') },
  jwks_uri: {
    kind: 'text',
    isOptional: true,
    label: message('admin.app_fields.jwks_uri'),
    hint: message('admin.app_fields.jwks_uri_hint'),
  },
  tls_subject_dn: {
    kind: 'text',
    isOptional: true,
    label: message('admin.app_fields.tls_subject_dn'),
    hint: message('admin.app_fields.tls_subject_dn_hint'),
  },
  profile: {
    kind: 'choice',
    label: message('admin.app_fields.profile'),
    choices: [
      choice('', message('admin.app_fields.profile_none')),
      choice('fapi2', message('admin.app_fields.profile_fapi2')),
    ],
  },
  allow_no_pkce: {
    kind: 'check',
    label: message('admin.app_fields.allow_no_pkce'),
    hint: message('admin.app_fields.allow_no_pkce_hint'),
  },
  require_par: { kind: 'check', label: message('admin.app_fields.require_par') },
  require_signed_request: { kind: 'check', label: message('admin.app_fields.require_signed_request') },
  require_dpop: { kind: 'check', label: message('admin.app_fields.require_dpop') },
  certificate_bound_tokens: { kind: 'check', label: message('admin.app_fields.certificate_bound_tokens') },
} as const satisfies Record<string, Omit<SettingField, 'name'>>

type FieldName = keyof typeof FIELDS

/** What an app is, as an operator chooses it first. */
export const APP_KINDS = [
  {
    type: 'confidential',
    title: message('admin.app_kinds.confidential'),
    lead: message('admin.app_kinds.confidential_lead'),
  },
  { type: 'public', title: message('admin.app_kinds.public'), lead: message('admin.app_kinds.public_lead') },
  { type: 'native', title: message('admin.app_kinds.native'), lead: message('admin.app_kinds.native_lead') },
  { type: 'device', title: message('admin.app_kinds.device'), lead: message('admin.app_kinds.device_lead') },
  { type: 'service', title: message('admin.app_kinds.service'), lead: message('admin.app_kinds.service_lead') },
] as const

export type AppKind = (typeof APP_KINDS)[number]['type']

/** The sections of an app, each with a page that changes it. */
export const APP_SECTIONS = {
  look: {
    title: message('admin.app_sections.look'),
    fields: ['name', 'description', 'home_uri', 'colour', 'first_time_notice'],
  },
  addresses: {
    title: message('admin.app_sections.addresses'),
    fields: ['redirect_uris', 'post_logout_redirect_uris', 'backchannel_logout_uri', 'event_receiver_uri'],
  },
  access: {
    title: message('admin.app_sections.access'),
    fields: [
      'access',
      'allowed_roles',
      'allowed_groups',
      'third_party',
      'first_party_direct',
      'simple_api',
      'self_assignable_roles',
    ],
  },
  apis: { title: message('admin.app_sections.apis'), fields: ['apis', 'exchange_for'] },
  lifetimes: {
    title: message('admin.app_sections.lifetimes'),
    fields: [
      'application_token_ttl',
      'family_lifetime',
      'family_renewal',
      'family_idle',
      'family_max',
      'rotation_grace',
      'rotation_grace_proven',
      'offline',
    ],
  },
  claims: {
    title: message('admin.app_sections.claims'),
    fields: [
      'scope',
      'audience',
      'id_token_alg',
      'application_token_alg',
      'refresh_id_token',
      'id_token_claims',
      'application_token_claims',
      'claims',
      'pairwise',
    ],
  },
  security: {
    title: message('admin.app_sections.security'),
    fields: [
      'auth_method',
      'jwks',
      'jwks_uri',
      'tls_subject_dn',
      'profile',
      'allow_no_pkce',
      'require_par',
      'require_signed_request',
      'require_dpop',
      'certificate_bound_tokens',
    ],
  },
} as const satisfies Record<string, { title: ReturnType<typeof message>; fields: readonly FieldName[] }>

export type AppSection = keyof typeof APP_SECTIONS

/** Settings that mean nothing for an app of this kind. */
const WITHOUT: Partial<Record<AppKind, readonly FieldName[]>> = {
  public: [
    'auth_method',
    'application_token_alg',
    'tls_subject_dn',
    'allow_no_pkce',
    'rotation_grace_proven',
    'exchange_for',
  ],
  native: [
    'auth_method',
    'application_token_alg',
    'tls_subject_dn',
    'allow_no_pkce',
    'rotation_grace_proven',
    'exchange_for',
    'pairwise',
  ],
  device: [
    'auth_method',
    'application_token_alg',
    'tls_subject_dn',
    'allow_no_pkce',
    'rotation_grace_proven',
    'exchange_for',
    'pairwise',
  ],
  service: [
    'home_uri',
    'colour',
    'first_time_notice',
    'redirect_uris',
    'post_logout_redirect_uris',
    'backchannel_logout_uri',
    'event_receiver_uri',
    'access',
    'allowed_roles',
    'allowed_groups',
    'third_party',
    'first_party_direct',
    'simple_api',
    'self_assignable_roles',
    'family_lifetime',
    'family_renewal',
    'family_idle',
    'family_max',
    'rotation_grace',
    'rotation_grace_proven',
    'offline',
    'id_token_alg',
    'application_token_alg',
    'refresh_id_token',
    'id_token_claims',
    'claims',
    'pairwise',
    'exchange_for',
    'allow_no_pkce',
    'require_par',
    'require_signed_request',
  ],
}

/** The fields of a section for an app of this kind; none where the section means nothing for it. */
export function fieldsOf(section: AppSection, type: AppKind): SettingField[] {
  const left = WITHOUT[type] ?? []
  return named(APP_SECTIONS[section].fields.filter((name) => !left.includes(name)))
}

const CLIENT_ID: SettingField = {
  name: 'client_id',
  kind: 'text',
  label: message('admin.app_fields.client_id'),
  hint: message('admin.app_fields.client_id_hint'),
}

const NEW_FIELDS: Record<AppKind, FieldName[]> = {
  confidential: [
    'name',
    'redirect_uris',
    'post_logout_redirect_uris',
    'home_uri',
    'description',
    'access',
    'third_party',
  ],
  public: ['name', 'redirect_uris', 'post_logout_redirect_uris', 'home_uri', 'description', 'access'],
  native: ['name', 'redirect_uris', 'post_logout_redirect_uris', 'description', 'access'],
  device: ['name', 'description', 'access'],
  service: ['name', 'description', 'apis'],
}

/** The fields with which an app of this kind is registered. The others have their defaults. */
export function newFieldsOf(type: AppKind): SettingField[] {
  const fields = [CLIENT_ID, ...named(NEW_FIELDS[type])]
  if (type !== 'native') return fields
  const hint = message('admin.app_fields.redirect_uris_native_hint')
  return fields.map((field) => (field.name === 'redirect_uris' ? { ...field, hint } : field))
}

function named(names: readonly FieldName[]): SettingField[] {
  return names.map((name) => {
    const field: Omit<SettingField, 'name'> = FIELDS[name]
    return { ...field, name }
  })
}
