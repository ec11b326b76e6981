import { readFile } from 'node:fs/promises'
import { type Command, InvalidArgumentError } from 'commander'
import type { GivenAppSettings } from '../administration/app-settings.ts'
import { OPERATIONS } from '../administration/operations.ts'
import { apisMeant, divideScopes } from '../domain/apps/app-apis.ts'
import { CommandRefused } from './command-refused.ts'
import type { Portal } from './portal.ts'

/** The options of `app create` and `app update`, as commander reads them. */
export interface AppOptions {
  json?: boolean
  name?: string
  redirectUri?: string[]
  postLogoutRedirectUri?: string[]
  public?: boolean
  native?: boolean
  audience?: string
  scope?: string
  backchannelLogoutUri?: string
  eventReceiverUri?: string
  familyLifetime?: string
  familyRenewal?: string
  allowNoPkce?: boolean
  idTokenAlg?: string
  applicationTokenAlg?: string
  refreshIdToken?: boolean
  offline?: boolean
  applicationTokenTtl?: number
  familyIdle?: number
  familyMax?: number
  rotationGrace?: number
  rotationGraceProven?: number
  homeUri?: string
  description?: string
  icon?: string
  colour?: string
  firstTimeNotice?: boolean
  service?: boolean
  device?: boolean
  thirdParty?: boolean
  firstPartyDirect?: boolean
  simpleApi?: boolean
  selfAssignableRole?: string[]
  api?: string[]
  apiScope?: string[]
  exchangeFor?: string[]
  exchangeScope?: string[]
  authMethod?: string
  jwksFile?: string
  jwksUri?: string
  tlsSubjectDn?: string
  profile?: string
  requirePar?: boolean
  requireSignedRequest?: boolean
  requireDpop?: boolean
  certificateBoundTokens?: boolean
  idTokenClaims?: string
  applicationTokenClaims?: string
  claim?: string[]
  pairwise?: boolean
  access?: string
  allowRole?: string[]
  allowGroup?: string[]
}

/** Adds the options of every setting that can change. */
export function withSettings(command: Command): Command {
  return command
    .option('--name <name>', 'what people call it')
    .option('--redirect-uri <uri>', 'exact; https, or http on loopback; may be repeated', collect)
    .option('--post-logout-redirect-uri <uri>', 'where a browser may go after a logout; may be repeated', collect)
    .option('--backchannel-logout-uri <uri>', 'where it is told that a session has ended; "" for nowhere')
    .option('--event-receiver-uri <uri>', 'where it takes security events; "" for nowhere')
    .option('--audience <audience>', 'aud of its application tokens (default: <issuer>/apps/<client id>)')
    .option('--scope <scopes>', 'every scope it may ask for, separated by spaces')
    .option('--allow-no-pkce', 'for a confidential app whose library cannot do better')
    .option(
      '--id-token-alg <alg>',
      'RS256 (default for new apps), ES256, EdDSA, or HS256 with a key that it shares with the portal',
    )
    .option(
      '--application-token-alg <alg>',
      'of tokens for its own audience: ES256 (default), or HS256 with a shared key',
    )
    .option('--refresh-id-token', 'a refresh gives an ID token too, without being asked')
    .option('--no-refresh-id-token', 'only a refresh with scope=openid does (default)')
    .option('--offline', 'it may have offline_access without prompt=consent: its families outlast the sign-in')
    .option('--no-offline', 'only with prompt=consent (default)')
    .option('--application-token-ttl <seconds>', 'life of its application tokens', whole)
    .option('--family-idle <seconds>', 'how long a family may go unused', whole)
    .option('--family-max <seconds>', 'how long a family may last', whole)
    .option('--family-lifetime <what>', 'what a family follows: session, browser or offline; "" as the portal says')
    .option('--family-renewal <when>', 'when a family gets a new term: never or sign-in; "" as the portal says')
    .option('--rotation-grace <seconds>', 'how long a replaced refresh token gets the current one, 0 to 300', whole)
    .option(
      '--rotation-grace-proven <seconds>',
      'the same for the immediate predecessor, when the app proves itself and has not used the current one; 0 to 7776000',
      whole,
    )
    .option(
      '--home-uri <uri>',
      'where people open it; puts it on the dashboard of everyone who may use it; "" for nowhere',
    )
    .option('--description <text>', 'what it is for, in one line, as people read it; "" for none')
    .option(
      '--icon <file-or-url>',
      'PNG, JPEG, WebP or SVG, at most 256 kB; a URL is fetched once, and the portal keeps the picture; "" for none',
    )
    .option('--colour <#rrggbb>', 'its accent; "" for none')
    .option('--first-time-notice', 'a page says once to each user what the app sees of the account')
    .option('--no-first-time-notice', 'no such page (default)')
    .option('--device', 'a television, terminal or other device without a browser: the device flow (needs --public)')
    .option('--no-device', 'no device flow (default)')
    .option('--third-party', 'users consent to what it gets')
    .option('--no-third-party', 'one of your own: no consent (default)')
    .option(
      '--first-party-direct',
      'it asks for the password itself, and signs users in without a browser (authorization challenge endpoint)',
    )
    .option('--no-first-party-direct', 'users sign in on the pages of the portal (default)')
    .option('--simple-api', 'it signs users in and registers them at /api/auth, in JSON: a migration aid')
    .option('--no-simple-api', 'it does not (default)')
    .option(
      '--self-assignable-role <role>',
      'a role of its own that users may ask for when they register there; may be repeated; "" for none',
      collect,
    )
    .option(
      '--api <identifier>',
      'an API that it may have tokens for (resource=); may be repeated; "" for none',
      collect,
    )
    .option('--api-scope <scope>', 'of those APIs, only these scopes; may be repeated', collect)
    .option(
      '--exchange-for <identifier>',
      'an API that it may call on behalf of users, in exchange for their tokens (RFC 8693); may be repeated; "" for none',
      collect,
    )
    .option('--exchange-scope <scope>', 'of those APIs, only these scopes; may be repeated', collect)
    .option('--jwks-file <file>', 'its public keys, a JWK set; it authenticates with them (private_key_jwt)')
    .option('--jwks-uri <uri>', 'where they are fetched, instead of a file; https, or http on loopback')
    .option('--tls-subject-dn <dn>', 'the subject of its certificate; it authenticates with that (tls_client_auth)')
    .option(
      '--auth-method <method>',
      'client_secret_basic, private_key_jwt, tls_client_auth or self_signed_tls_client_auth, where the options above leave it open',
    )
    .option('--profile <profile>', 'fapi2: the FAPI 2.0 security profile, with all that it requires; "" for none')
    .option('--require-par', 'only pushed authorization requests (RFC 9126)')
    .option('--no-require-par', 'others, too (default)')
    .option('--require-signed-request', 'only signed request objects (RFC 9101)')
    .option('--no-require-signed-request', 'plain requests, too (default)')
    .option('--require-dpop', 'every token is bound to a key of the app (DPoP, RFC 9449)')
    .option('--no-require-dpop', 'bearer tokens, too (default)')
    .option('--certificate-bound-tokens', 'every token is bound to the certificate of the app (RFC 8705)')
    .option('--no-certificate-bound-tokens', 'they are not (default)')
    .option('--id-token-claims <claims>', 'claims that its ID tokens contain, separated by commas; "" for none')
    .option(
      '--application-token-claims <claims>',
      'claims that its application tokens contain, separated by commas; "" for none',
    )
    .option(
      '--claim <claim=attribute>',
      'a claim made of an attribute of the user; may be repeated; "" for none',
      collect,
    )
    .option('--pairwise', 'its users have another sub here than at apps with other redirect hosts')
    .option('--no-pairwise', 'the same sub as everywhere (default)')
    .option(
      '--access <who>',
      'who may enter it: everyone (default), or assigned: users with a role in it, or with one of the roles and groups below',
    )
    .option('--allow-role <role>', 'users with this role may enter it; may be repeated; "" for none', collect)
    .option('--allow-group <group>', 'members of this group may enter it; may be repeated; "" for none', collect)
}

/** The settings that the options name, and no others. @throws CommandRefused */
export async function settingsOf(options: AppOptions): Promise<GivenAppSettings> {
  return {
    name: options.name,
    redirect_uris: options.redirectUri,
    post_logout_redirect_uris: options.postLogoutRedirectUri,
    backchannel_logout_uri: unlessEmpty(options.backchannelLogoutUri),
    event_receiver_uri: unlessEmpty(options.eventReceiverUri),
    family_lifetime: unlessEmpty(options.familyLifetime),
    family_renewal: unlessEmpty(options.familyRenewal),
    audience: options.audience,
    scope: options.scope,
    allow_no_pkce: options.allowNoPkce,
    id_token_alg: options.idTokenAlg,
    application_token_alg: options.applicationTokenAlg,
    refresh_id_token: options.refreshIdToken,
    offline: options.offline,
    application_token_ttl: options.applicationTokenTtl,
    family_idle: options.familyIdle,
    family_max: options.familyMax,
    rotation_grace: options.rotationGrace,
    rotation_grace_proven: options.rotationGraceProven,
    home_uri: unlessEmpty(options.homeUri),
    description: unlessEmpty(options.description?.trim()),
    colour: unlessEmpty(options.colour?.toLowerCase()),
    first_time_notice: options.firstTimeNotice,
    device: options.device,
    third_party: options.thirdParty,
    first_party_direct: options.firstPartyDirect,
    simple_api: options.simpleApi,
    self_assignable_roles: options.selfAssignableRole?.filter(Boolean),
    auth_method: options.authMethod,
    ...(await keysOf(options)),
    tls_subject_dn: unlessEmpty(options.tlsSubjectDn),
    profile: unlessEmpty(options.profile),
    require_par: options.requirePar,
    require_signed_request: options.requireSignedRequest,
    require_dpop: options.requireDpop,
    certificate_bound_tokens: options.certificateBoundTokens,
    id_token_claims: namesIn(options.idTokenClaims),
    application_token_claims: namesIn(options.applicationTokenClaims),
    claims: attributeClaimsOf(options.claim),
    pairwise: options.pairwise,
    access: options.access as GivenAppSettings['access'],
    allowed_roles: options.allowRole?.filter(Boolean),
    allowed_groups: options.allowGroup?.filter(Boolean),
  }
}

/** New keys replace those before, wherever they came from. */
export async function keysOf({
  jwksFile,
  jwksUri,
}: Pick<AppOptions, 'jwksFile' | 'jwksUri'>): Promise<Pick<GivenAppSettings, 'jwks' | 'jwks_uri'>> {
  if (jwksFile && jwksUri) throw new CommandRefused('keys are either in a file or at a URI, not both')
  if (jwksUri !== undefined) return { jwks: null, jwks_uri: unlessEmpty(jwksUri) ?? null }
  if (jwksFile === undefined) return {}
  return { jwks: jwksFile === '' ? null : await readKeySet(jwksFile), jwks_uri: null }
}

async function readKeySet(file: string): Promise<GivenAppSettings['jwks']> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as GivenAppSettings['jwks']
  } catch (error) {
    const why = error instanceof SyntaxError ? 'it is not JSON' : String((error as NodeJS.ErrnoException).code)
    throw new CommandRefused(`the JWK set ${file} cannot be read (${why})`)
  }
}

/** The APIs that an app has before, with their scopes. */
export interface GrantedApis {
  apis: Record<string, string[]>
  exchange_for: Record<string, string[]>
}

/** What the options grant of APIs. Scopes alone narrow the APIs that the app has. @throws CommandRefused, Refused */
export async function apiGrantsOf(
  portal: Portal,
  before: GrantedApis,
  { api, apiScope, exchangeFor, exchangeScope }: AppOptions,
): Promise<Partial<Record<keyof GrantedApis, Record<string, string[] | null>>>> {
  return {
    ...((api ?? apiScope) ? { apis: await grantsOf(portal, api ?? Object.keys(before.apis), apiScope) } : {}),
    ...((exchangeFor ?? exchangeScope)
      ? { exchange_for: await grantsOf(portal, exchangeFor ?? Object.keys(before.exchange_for), exchangeScope) }
      : {}),
  }
}

/** By identifier; null for all that the API has. */
async function grantsOf(
  portal: Portal,
  named: string[],
  scopes: string[] | undefined,
): Promise<Record<string, string[] | null>> {
  const identifiers = [...new Set(apisMeant(portal, named.filter(Boolean), scopes ?? null))]
  if (scopes === undefined) return Object.fromEntries(identifiers.map((each) => [each, null]))
  const apis = await Promise.all(identifiers.map(async (each) => portal.perform(OPERATIONS.showApi, { api: each })))
  return Object.fromEntries(divideScopes(apis, scopes).map((each) => [each.identifier, each.scopes]))
}

function namesIn(list: string | undefined): string[] | undefined {
  return list
    ?.split(',')
    .map((name) => name.trim())
    .filter(Boolean)
}

/** The attribute of each claim. */
function attributeClaimsOf(pairs: string[] | undefined): Record<string, string> | undefined {
  if (pairs === undefined) return undefined
  const named = pairs.filter(Boolean).map((pair) => {
    const [, claim, attribute] = /^([^=]+)=(.+)$/.exec(pair) ?? []
    if (claim === undefined || attribute === undefined)
      throw new CommandRefused(`--claim ${pair}: is written as claim=attribute`)
    return [claim, attribute]
  })
  return Object.fromEntries(named) as Record<string, string>
}

/** An empty value removes a setting. */
export function unlessEmpty(value: string | undefined): string | null | undefined {
  return value === '' ? null : value
}

/** Collects the values of an option that may be repeated. */
export function collect(value: string, others: string[] = []): string[] {
  return [...others, value]
}

/** A whole number of seconds. */
export function whole(value: string): number {
  if (!/^\d{1,9}$/.test(value)) throw new InvalidArgumentError('It must be a whole number of seconds.')
  return Number(value)
}
