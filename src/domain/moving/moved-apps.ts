import { type MovedTable, names } from './moved-table.ts'

const SECRETS = 'secret_hash previous_secret_hash previous_secret_until'

/** APIs, without the built-in one, which every portal has. */
export const MOVED_APIS: MovedTable = {
  table: 'apis',
  key: 'identifier',
  columns: names(`identifier client_id name scopes token_ttl signing_alg auth_method ${SECRETS} jwks jwks_uri
    created_at updated_at`),
}

export const MOVED_APPS: MovedTable = {
  table: 'apps',
  key: 'client_id',
  columns: names(`client_id name is_public is_native ${SECRETS} redirect_uris post_logout_redirect_uris audience scope
    allow_no_pkce id_token_alg application_token_alg token_key_id simple_api self_assignable_roles refresh_id_token allow_offline application_token_ttl family_idle family_max rotation_grace
    rotation_grace_proven backchannel_logout_uri event_receiver_uri family_lifetime family_renewal home_uri description icon
    colour first_time_notice is_service is_device is_third_party auth_method jwks jwks_uri tls_subject_dn security_profile
    require_par require_signed_request require_dpop bind_certificate id_token_claims application_token_claims
    attribute_claims is_pairwise roles access allowed_roles allowed_groups access_changed_at created_at updated_at
    disabled_at deleted_at revoked_before first_party_direct`),
  parts: [
    { table: 'app_apis', of: 'client_id', columns: names('client_id identifier kind scopes') },
    { table: 'app_icons', of: 'client_id', columns: names('client_id hash type bytes') },
  ],
}
