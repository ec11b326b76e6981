import { FAMILY_LIFETIMES, FAMILY_RENEWALS, isLoopback } from '../../config.ts'
import type { AppRow } from '../../storage/apps.ts'
import { APPLICATION_ALG } from '../keys/jwts.ts'
import { SHARED_ALG } from '../keys/shared-keys.ts'
import { DEFAULT_ID_TOKEN_ALG, LONGEST_TOKEN, SIGNING_ALGS } from '../keys/signing-keys.ts'
import { accessFaults } from './app-access.ts'
import { claimFaults, pairwiseFaults } from './app-claims.ts'
import { subjectFaults } from './client-certificates.ts'
import { hasSecret, keyFaults } from './client-keys.ts'
import { DEFAULT_SCOPES, OPENID_SCOPES } from './openid-scopes.ts'
import { plainUrl, redirectFaults } from './redirect-uris.ts'
import { at, type Fault, ILLEGIBLE, isLegible, nameFaults, rangeFault } from './setting-faults.ts'

/** The settings of an app, which an operator decides. */
export type AppSettings = Pick<
  AppRow,
  | 'name'
  | 'isPublic'
  | 'isNative'
  | 'redirectUris'
  | 'postLogoutRedirectUris'
  | 'audience'
  | 'scope'
  | 'allowNoPkce'
  | 'idTokenAlg'
  | 'applicationTokenAlg'
  | 'refreshIdToken'
  | 'allowOffline'
  | 'applicationTokenTtl'
  | 'familyIdle'
  | 'familyMax'
  | 'rotationGrace'
  | 'rotationGraceProven'
  | 'backchannelLogoutUri'
  | 'eventReceiverUri'
  | 'familyLifetime'
  | 'familyRenewal'
  | 'homeUri'
  | 'description'
  | 'colour'
  | 'firstTimeNotice'
  | 'isService'
  | 'isDevice'
  | 'isThirdParty'
  | 'firstPartyDirect'
  | 'simpleApi'
  | 'selfAssignableRoles'
  | 'authMethod'
  | 'jwks'
  | 'jwksUri'
  | 'tlsSubjectDn'
  | 'securityProfile'
  | 'requirePar'
  | 'requireSignedRequest'
  | 'requireDpop'
  | 'bindCertificate'
  | 'idTokenClaims'
  | 'applicationTokenClaims'
  | 'attributeClaims'
  | 'isPairwise'
  | 'access'
  | 'allowedRoles'
  | 'allowedGroups'
>

/** What an app has where its operator says nothing. What it is, and how it authenticates, has no default. */
export const DEFAULT_SETTINGS: Omit<AppSettings, 'name' | 'isPublic' | 'authMethod' | 'redirectUris' | 'audience'> = {
  isNative: false,
  isService: false,
  isDevice: false,
  isThirdParty: false,
  firstPartyDirect: false,
  simpleApi: false,
  selfAssignableRoles: [],
  postLogoutRedirectUris: [],
  scope: DEFAULT_SCOPES.join(' '),
  allowNoPkce: false,
  idTokenAlg: DEFAULT_ID_TOKEN_ALG,
  applicationTokenAlg: APPLICATION_ALG,
  refreshIdToken: false,
  allowOffline: false,
  applicationTokenTtl: null,
  familyIdle: null,
  familyMax: null,
  rotationGrace: null,
  rotationGraceProven: null,
  backchannelLogoutUri: null,
  eventReceiverUri: null,
  familyLifetime: null,
  familyRenewal: null,
  homeUri: null,
  description: null,
  colour: null,
  firstTimeNotice: false,
  jwks: null,
  jwksUri: null,
  tlsSubjectDn: null,
  securityProfile: null,
  requirePar: false,
  requireSignedRequest: false,
  requireDpop: false,
  bindCertificate: false,
  idTokenClaims: [],
  applicationTokenClaims: [],
  attributeClaims: {},
  isPairwise: false,
  access: 'everyone',
  allowedRoles: [],
  allowedGroups: [],
}

/** What is wrong with the settings of an app. */
export function faultsOf(settings: AppSettings): Fault[] {
  const faults = [...at('name', nameFaults(settings.name)), ...kindFaults(settings), ...securityFaults(settings)]
  faults.push(...at('firstPartyDirect', settings.firstPartyDirect ? directFaults(settings) : []))
  faults.push(...at('simpleApi', settings.simpleApi ? simpleApiFaults(settings) : []))
  faults.push(...accessFaults(settings))
  faults.push(...claimFaults(settings), ...at('isPairwise', pairwiseFaults(settings)))
  for (const uri of settings.redirectUris) faults.push(...at('redirectUris', redirectFaults(uri, settings.isNative)))
  for (const uri of settings.postLogoutRedirectUris)
    faults.push(...at('postLogoutRedirectUris', redirectFaults(uri, settings.isNative)))
  if (!/^[\x21-\x7e]{1,255}$/.test(settings.audience))
    faults.push(...at('audience', ['an audience has 1 to 255 visible ASCII characters']))
  // A service has no users, and may have no scope but those of APIs.
  const mayBeEmpty = settings.isService && settings.scope === ''
  if (!mayBeEmpty && !/^[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*$/.test(settings.scope))
    faults.push(...at('scope', ['a scope is a list of words, separated by single spaces']))
  if (!settings.isService && !settings.scope.split(' ').includes('openid'))
    faults.push(...at('scope', ['the scope must contain openid']))
  if (settings.allowOffline && !settings.scope.split(' ').includes('offline_access'))
    faults.push(...at('scope', ['an app with --offline needs offline_access in its scope']))
  if (settings.allowNoPkce && settings.isPublic)
    faults.push(...at('allowNoPkce', ['a public app cannot do without PKCE (RFC 9700 §2.1.1)']))
  faults.push(...algFaults(settings))
  faults.push(
    ...at(
      'backchannelLogoutUri',
      listenerFaults('back-channel logout URI', settings.backchannelLogoutUri, settings.isPublic),
    ),
    ...at('eventReceiverUri', listenerFaults('event receiver URI', settings.eventReceiverUri, settings.isPublic)),
    ...at('homeUri', homeFaults(settings.homeUri)),
    ...at('description', descriptionFaults(settings.description)),
    ...at('colour', colourFaults(settings.colour)),
    ...at('familyLifetime', choiceFault('family-lifetime', settings.familyLifetime, FAMILY_LIFETIMES)),
    ...at('familyRenewal', choiceFault('family-renewal', settings.familyRenewal, FAMILY_RENEWALS)),
    ...rangeFault('applicationTokenTtl', 'application-token-ttl', settings.applicationTokenTtl, 10, LONGEST_TOKEN),
    ...rangeFault('familyIdle', 'family-idle', settings.familyIdle, 10, 315_360_000),
    ...rangeFault('familyMax', 'family-max', settings.familyMax, 10, 315_360_000),
    ...rangeFault('rotationGrace', 'rotation-grace', settings.rotationGrace, 0, 300),
    ...rangeFault('rotationGraceProven', 'rotation-grace-proven', settings.rotationGraceProven, 0, 7_776_000),
  )
  return faults
}

const ID_TOKEN_ALGS: readonly string[] = [...SIGNING_ALGS, SHARED_ALG]
const APPLICATION_TOKEN_ALGS: readonly string[] = [APPLICATION_ALG, SHARED_ALG]

/** Whether the app shares a key with the portal. */
export function hasTokenKey({ idTokenAlg, applicationTokenAlg }: Pick<AppSettings, AlgSetting>): boolean {
  return idTokenAlg === SHARED_ALG || applicationTokenAlg === SHARED_ALG
}

type AlgSetting = 'idTokenAlg' | 'applicationTokenAlg'

/** A shared key is for an app that can keep it, and for tokens that concern nothing else. */
function algFaults(settings: AppSettings): Fault[] {
  const { idTokenAlg, applicationTokenAlg, isPublic, isService, securityProfile } = settings
  const faults: Fault[] = []
  if (!ID_TOKEN_ALGS.includes(idTokenAlg))
    faults.push(...at('idTokenAlg', [`ID tokens are signed with one of ${ID_TOKEN_ALGS.join(', ')}`]))
  if (!APPLICATION_TOKEN_ALGS.includes(applicationTokenAlg))
    faults.push(
      ...at('applicationTokenAlg', [
        `application tokens for the app itself are signed with ${APPLICATION_TOKEN_ALGS.join(' or ')}`,
      ]),
    )
  if (!hasTokenKey(settings)) return faults
  const setting: AlgSetting = idTokenAlg === SHARED_ALG ? 'idTokenAlg' : 'applicationTokenAlg'
  if (isPublic) faults.push(...at(setting, ['a public app cannot keep the key of HS256']))
  if (isService) faults.push(...at(setting, ['a service has no tokens of users, and so none with HS256']))
  if (securityProfile !== null) faults.push(...at(setting, ['fapi2 has no HS256 (FAPI 2.0 §5.4.1)']))
  return faults
}

/** What an app of this kind has, and what it has not. */
function kindFaults({ isService, isDevice, isPublic, isNative, isThirdParty, ...settings }: AppSettings): Fault[] {
  const faults: Fault[] = []
  if (isService && (isPublic || isNative || isDevice))
    faults.push(...at(null, ['a service is a confidential app, and no device']))
  if (isService && (settings.redirectUris.length > 0 || settings.postLogoutRedirectUris.length > 0))
    faults.push(
      ...at('redirectUris', ['a service has no users, and so no redirect URIs; register another app for them']),
    )
  if (isService && isThirdParty) faults.push(...at('isThirdParty', ['a service has no users who could consent']))
  if (isService && OPENID_SCOPES.some((scope) => settings.scope.split(' ').includes(scope)))
    faults.push(...at('scope', [`a service has no users, and so none of the scopes ${OPENID_SCOPES.join(', ')}`]))
  if (isDevice && !isPublic) faults.push(...at('isDevice', ['a device can keep no secret: add --public']))
  if (!isService && !isDevice && settings.redirectUris.length === 0)
    faults.push(...at('redirectUris', ['an app needs at least one redirect URI']))
  return faults
}

/** An app that takes the sign-in of its users itself sees their passwords, and asks without a page of the portal. */
function directFaults(settings: AppSettings): string[] {
  if (settings.isService) return ['a service has no users who could sign in']
  if (settings.isThirdParty) return ['a third-party app must not see the passwords of users: leave out --third-party']
  if (settings.requireSignedRequest || settings.securityProfile !== null)
    return ['signed requests and fapi2 are for requests of browsers, and not for a direct sign-in']
  return []
}

/** The API takes a client secret, or a key that every request proves (DPoP). */
function simpleApiFaults(settings: AppSettings): string[] {
  const faults = directFaults(settings)
  if (faults.length > 0) return faults
  if (settings.bindCertificate) return ['the simple API knows no certificates: leave out --certificate-bound-tokens']
  if (settings.isPublic) return settings.requireDpop ? [] : ['a public app needs --require-dpop for the simple API']
  return hasSecret(settings) ? [] : ['the simple API takes client secrets only, and this app has none']
}

/** How the app proves itself, and what its requests and tokens are bound to. */
function securityFaults(settings: AppSettings): Fault[] {
  const { isPublic, authMethod, tlsSubjectDn, requireSignedRequest, bindCertificate, securityProfile } = settings
  const faults = [...keyFaults(settings), ...at('tlsSubjectDn', subjectFaults(tlsSubjectDn))]
  if (isPublic !== (authMethod === 'none'))
    faults.push(
      ...at('authMethod', [isPublic ? 'a public app does not authenticate' : 'a confidential app authenticates']),
    )
  if ((authMethod === 'tls_client_auth') !== (tlsSubjectDn !== null))
    faults.push(
      ...at('tlsSubjectDn', ['tls_client_auth and the subject of the certificate (--tls-subject-dn) belong together']),
    )
  if (requireSignedRequest && settings.jwks === null && settings.jwksUri === null)
    faults.push(...at('requireSignedRequest', ['signed requests need public keys (--jwks-file or --jwks-uri)']))
  if (settings.requireDpop && bindCertificate)
    faults.push(
      ...at('requireDpop', [
        'tokens are bound with DPoP or to a certificate: add --no-require-dpop or --no-certificate-bound-tokens',
      ]),
    )
  if (securityProfile !== null && securityProfile !== 'fapi2')
    faults.push(...at('securityProfile', ['the security profile is fapi2']))
  if (securityProfile === 'fapi2') {
    if (isPublic || hasSecret(settings))
      faults.push(...at('authMethod', ['fapi2 needs keys or a certificate (FAPI 2.0 §5.3.2.1)']))
    if (!settings.requirePar && !settings.isService)
      faults.push(...at('requirePar', ['fapi2 needs pushed requests (FAPI 2.0 §5.3.2.2)']))
    if (!settings.requireDpop && !bindCertificate)
      faults.push(...at('requireDpop', ['fapi2 needs DPoP or certificate-bound tokens (FAPI 2.0 §5.3.2.1)']))
    if (settings.allowNoPkce) faults.push(...at('allowNoPkce', ['fapi2 needs PKCE (FAPI 2.0 §5.3.2.2)']))
  }
  return faults
}

/** The page that people open. A browser goes there, so http is for loopback only, as with redirect URIs. */
function homeFaults(uri: string | null): string[] {
  if (uri === null) return []
  const refused = (why: string) => [`home URI ${JSON.stringify(uri)}: ${why}`]
  // A fragment is how some single-page apps name their first page, and it reaches no server.
  const url = plainUrl(uri.replace(/#[^#]*$/, ''))
  if (typeof url === 'string') return refused(url)
  if (!/^[\x21-\x7e]{1,2000}$/.test(uri)) return refused('is not an absolute URI')
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))) return []
  return refused(url.protocol === 'http:' ? 'http is only allowed on loopback; use https' : 'must begin with https://')
}

function descriptionFaults(description: string | null): string[] {
  const fits =
    description === null ||
    (description.trim() !== '' && Array.from(description).length <= 200 && !/[\p{Cc}\u2028\u2029]/u.test(description))
  if (!fits) return ['a description has 1 to 200 characters, in one line']
  return description === null || isLegible(description) ? [] : [ILLEGIBLE]
}

function colourFaults(colour: string | null): string[] {
  return colour === null || /^#[0-9a-f]{6}$/i.test(colour) ? [] : ['a colour is written as #rrggbb']
}

function choiceFault(name: string, value: string | null, choices: readonly string[]): string[] {
  return value === null || choices.includes(value) ? [] : [`${name} must be ${choices.join(' or ')}`]
}

/**
 * Checks a URI that back-channel requests go to: https, or http on loopback or for a confidential app (OpenID Connect
 * Back-Channel Logout §2.2). Which networks may be reached is decided when a request is sent (SSRF guard).
 */
function listenerFaults(name: string, uri: string | null, isPublic: boolean): string[] {
  if (uri === null) return []
  const refused = (why: string) => [`${name} ${JSON.stringify(uri)}: ${why}`]
  const url = plainUrl(uri)
  if (typeof url === 'string') return refused(url)
  if (url.protocol === 'https:') return []
  if (url.protocol !== 'http:') return refused('must begin with https://')
  return !isPublic || isLoopback(url.hostname) ? [] : refused('http is not allowed for a public app; use https')
}
