import { z } from 'zod'
import { groupIdsOf } from '../domain/apps/app-access.ts'
import type { AppRow, AppSettings } from '../domain/apps/apps.ts'
import { findGroups } from '../domain/identities/groups.ts'
import type { Services } from '../domain/services.ts'

const uris = z.array(z.string().max(2000)).max(100)
const seconds = z.number().int().min(0).max(315_360_000).nullable()
const names = z.array(z.string().max(200)).max(100)

/** A public key as JWK (RFC 7517 §4). What is wrong with one, the rules of apps say. */
const jwk = z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null(), z.array(z.string())]))
export const keySet = z.object({ keys: z.array(jwk) }).meta({ id: 'KeySet' })

/** The settings of an app in JSON. The kind of an app, which does not change, is `type` and `native`. */
export const APP_SETTINGS = {
  name: z.string().max(200).describe('What users call it.'),
  description: z.string().max(500).nullable().describe('What it is for, in one line, as users read it.'),
  home_uri: z.string().max(2000).nullable().describe('Where users open it; puts it on their dashboards.'),
  colour: z.string().max(20).nullable().describe('Its accent, as #rrggbb.'),
  redirect_uris: uris.describe('Exact; https, or http on loopback.'),
  post_logout_redirect_uris: uris.describe('Where a browser may go after a logout.'),
  backchannel_logout_uri: z.string().max(2000).nullable().describe('Where it is told that a session has ended.'),
  event_receiver_uri: z.string().max(2000).nullable().describe('Where it takes security events.'),
  audience: z.string().max(300).describe('`aud` of its application tokens.'),
  scope: z.string().max(2000).describe('Every scope it may ask for, separated by spaces.'),
  device: z.boolean().describe('It may use the device flow (RFC 8628).'),
  third_party: z.boolean().describe('Users consent to what it gets.'),
  simple_api: z.boolean().describe('It may use the JSON API of /api/auth, and sees the passwords of its users.'),
  self_assignable_roles: names.describe('Roles of its own that users may ask for when they register there.'),
  first_party_direct: z.boolean().describe('It may take the sign-in of its users itself (authorization challenge).'),
  first_time_notice: z.boolean().describe('A page says once to each user what the app sees of the account.'),
  offline: z.boolean().describe('It may have offline_access without prompt=consent.'),
  refresh_id_token: z.boolean().describe('A refresh gives an ID token, too, without being asked.'),
  id_token_alg: z.string().max(20).describe('RS256, ES256, EdDSA, or HS256 with a key that the app shares.'),
  application_token_alg: z
    .string()
    .max(20)
    .describe('ES256, or HS256 with a key that the app shares; tokens for APIs follow the API.'),
  application_token_ttl: seconds.describe('Life of its application tokens (seconds); null for that of the portal.'),
  family_idle: seconds.describe('How long a family may go unused (seconds).'),
  family_max: seconds.describe('How long a family may last (seconds).'),
  family_lifetime: z.string().max(20).nullable().describe('What a family follows: session, browser or offline.'),
  family_renewal: z.string().max(20).nullable().describe('When a family gets a new term: never or sign-in.'),
  rotation_grace: seconds.describe('How long a replaced refresh token gets the current one (seconds).'),
  rotation_grace_proven: seconds.describe('The same, when the app proves itself (seconds).'),
  auth_method: z.string().max(50).describe('How it authenticates; none for a public app.'),
  jwks: keySet.nullable().describe('Its public keys.'),
  jwks_uri: z.string().max(2000).nullable().describe('Where its public keys are fetched.'),
  tls_subject_dn: z.string().max(1000).nullable().describe('The subject of its certificate.'),
  profile: z.string().max(20).nullable().describe('fapi2: the FAPI 2.0 security profile.'),
  allow_no_pkce: z.boolean().describe('For a confidential app whose library cannot do better.'),
  require_par: z.boolean().describe('Only pushed authorization requests (RFC 9126).'),
  require_signed_request: z.boolean().describe('Only signed request objects (RFC 9101).'),
  require_dpop: z.boolean().describe('Every token is bound to a key of the app (RFC 9449).'),
  certificate_bound_tokens: z.boolean().describe('Every token is bound to the certificate of the app (RFC 8705).'),
  id_token_claims: names.describe('Claims that its ID tokens contain beside the usual ones.'),
  application_token_claims: names.describe('Claims that its application tokens contain beside the usual ones.'),
  claims: z.record(z.string().max(200), z.string().max(200)).describe('Which attribute of an identity is which claim.'),
  pairwise: z.boolean().describe('Its users have another `sub` than at other apps.'),
  access: z.enum(['everyone', 'assigned']).describe('Who may enter it.'),
  allowed_roles: names.describe('With access `assigned`: users with one of these roles may enter it.'),
  allowed_groups: names.describe('With access `assigned`: members of these groups may enter it, by name.'),
}

export type AppSettingName = keyof typeof APP_SETTINGS
export type GivenAppSettings = { [Name in AppSettingName]?: z.output<(typeof APP_SETTINGS)[Name]> | undefined }
type SaidAppSettings = { [Name in AppSettingName]: z.output<(typeof APP_SETTINGS)[Name]> }

/** The setting of the registry that each stands for. */
export const SETTING_OF = {
  name: 'name',
  description: 'description',
  home_uri: 'homeUri',
  colour: 'colour',
  redirect_uris: 'redirectUris',
  post_logout_redirect_uris: 'postLogoutRedirectUris',
  backchannel_logout_uri: 'backchannelLogoutUri',
  event_receiver_uri: 'eventReceiverUri',
  audience: 'audience',
  scope: 'scope',
  device: 'isDevice',
  third_party: 'isThirdParty',
  simple_api: 'simpleApi',
  self_assignable_roles: 'selfAssignableRoles',
  first_party_direct: 'firstPartyDirect',
  first_time_notice: 'firstTimeNotice',
  offline: 'allowOffline',
  refresh_id_token: 'refreshIdToken',
  id_token_alg: 'idTokenAlg',
  application_token_alg: 'applicationTokenAlg',
  application_token_ttl: 'applicationTokenTtl',
  family_idle: 'familyIdle',
  family_max: 'familyMax',
  family_lifetime: 'familyLifetime',
  family_renewal: 'familyRenewal',
  rotation_grace: 'rotationGrace',
  rotation_grace_proven: 'rotationGraceProven',
  auth_method: 'authMethod',
  jwks: 'jwks',
  jwks_uri: 'jwksUri',
  tls_subject_dn: 'tlsSubjectDn',
  profile: 'securityProfile',
  allow_no_pkce: 'allowNoPkce',
  require_par: 'requirePar',
  require_signed_request: 'requireSignedRequest',
  require_dpop: 'requireDpop',
  certificate_bound_tokens: 'bindCertificate',
  id_token_claims: 'idTokenClaims',
  application_token_claims: 'applicationTokenClaims',
  claims: 'attributeClaims',
  pairwise: 'isPairwise',
  access: 'access',
  allowed_roles: 'allowedRoles',
  allowed_groups: 'allowedGroups',
} as const satisfies Record<AppSettingName, keyof AppSettings>

/**
 * The settings that are given, and what follows from them: an app with keys or a certificate authenticates with them, keys replace
 * those before, a security profile sets what it requires, and to name roles or groups is to let in
 * only those, unless the input says otherwise.
 * @throws Refused for a group that there is not
 */
export async function settingsOf(services: Services, given: GivenAppSettings): Promise<Partial<AppSettings>> {
  const named = Object.entries(given).filter(([, value]) => value !== undefined)
  const settings = Object.fromEntries(named.map(([name, value]) => [SETTING_OF[name as AppSettingName], value]))
  const { allowed_groups: groups } = given
  return {
    ...impliedBy(given),
    ...settings,
    ...(groups === undefined ? {} : { allowedGroups: await groupIdsOf(services, groups) }),
  }
}

function impliedBy({ jwks, jwks_uri: jwksUri, tls_subject_dn: dn, ...given }: GivenAppSettings): Partial<AppSettings> {
  const hasKeys = Boolean(jwks ?? jwksUri)
  const isFapi = given.profile === 'fapi2'
  const isAssigned = [...(given.allowed_roles ?? []), ...(given.allowed_groups ?? [])].length > 0
  return {
    ...(isAssigned ? { access: 'assigned' } : {}),
    ...(hasKeys ? { authMethod: 'private_key_jwt' } : {}),
    ...(dn ? { authMethod: 'tls_client_auth' } : {}),
    ...(jwks ? { jwksUri: null } : {}),
    ...(jwksUri ? { jwks: null } : {}),
    ...(isFapi ? { requirePar: true, requireDpop: given.certificate_bound_tokens !== true } : {}),
  }
}

/** The names of the groups that these apps let in, by id. */
export async function groupNamesOf(
  services: Services,
  apps: Pick<AppRow, 'allowedGroups'>[],
): Promise<Map<string, string>> {
  const ids = [...new Set(apps.flatMap(({ allowedGroups }) => allowedGroups))]
  const groups = ids.length === 0 ? [] : await findGroups(services, ids)
  return new Map(groups.map(({ id, name }) => [id, name]))
}

/** The settings of an app, as JSON. */
export function describeSettings(app: AppRow, groupNames: Map<string, string>): SaidAppSettings {
  const said = Object.fromEntries(Object.entries(SETTING_OF).map(([name, setting]) => [name, app[setting]]))
  const allowed = app.allowedGroups.map((id) => groupNames.get(id)).filter((name) => name !== undefined)
  return { ...(said as SaidAppSettings), allowed_groups: allowed }
}

const TYPES = {
  confidential: {},
  public: { isPublic: true },
  native: { isPublic: true, isNative: true },
  device: { isPublic: true, isDevice: true },
  service: { isService: true },
} satisfies Record<string, Partial<AppSettings>>

export const APP_TYPE = z
  .enum(Object.keys(TYPES) as [AppType, ...AppType[]])
  .describe(
    'confidential: has a back end. public: runs in the browser. native: on a device. device: without a browser. service: without users.',
  )
export type AppType = keyof typeof TYPES

/** What an app of this type is. */
export function kindOf(type: AppType): Pick<AppSettings, 'isPublic' | 'isNative' | 'isDevice' | 'isService'> {
  return { isPublic: false, isNative: false, isDevice: false, isService: false, ...TYPES[type] }
}

export function typeOf({ isService, isDevice, isNative, isPublic }: AppRow): AppType {
  if (isService) return 'service'
  if (isDevice) return 'device'
  if (isNative) return 'native'
  return isPublic ? 'public' : 'confidential'
}
