import type { AppRow } from '../../storage/apps.ts'
import { ATTRIBUTE_NAME } from '../identities/attributes.ts'
import { IDENTITY_CLAIMS } from '../identities/claims.ts'
import { at, type Fault } from './setting-faults.ts'

type ClaimSettings = Pick<AppRow, 'idTokenClaims' | 'applicationTokenClaims' | 'attributeClaims'>

/** Claims of one kind that one app may have. */
const MOST_CLAIMS = 50

/** What is wrong with the claims that an app wants in its tokens, and with those that it makes of attributes. */
export function claimFaults({ idTokenClaims, applicationTokenClaims, attributeClaims }: ClaimSettings): Fault[] {
  const mapped = Object.entries(attributeClaims as Record<string, string>)
  const known: string[] = [...IDENTITY_CLAIMS, ...mapped.map(([claim]) => claim)]
  const faults = at(
    'attributeClaims',
    mapped.flatMap(([claim, attribute]) => mappingFaults(claim, attribute)),
  )
  if (Math.max(mapped.length, idTokenClaims.length, applicationTokenClaims.length) > MOST_CLAIMS)
    faults.push(...at('attributeClaims', [`an app has at most ${MOST_CLAIMS} claims of one kind`]))
  for (const claim of new Set([...idTokenClaims, ...applicationTokenClaims])) {
    if (known.includes(claim)) continue
    const problem = isProtocolClaim(claim)
      ? `the claim ${claim} belongs to the protocol, and the portal alone sets it`
      : `there is no claim ${JSON.stringify(claim)}: it must be one of ${IDENTITY_CLAIMS.join(', ')}, or made of an attribute (--claim)`
    faults.push(...at(idTokenClaims.includes(claim) ? 'idTokenClaims' : 'applicationTokenClaims', [problem]))
  }
  return faults
}

function mappingFaults(claim: string, attribute: string): string[] {
  const faults: string[] = []
  if (!/^[A-Za-z][\w.:/-]{0,119}$/.test(claim))
    faults.push(`--claim ${claim}: a claim has 1 to 120 letters, digits or _ . : / -, and begins with a letter`)
  else if (isProtocolClaim(claim)) faults.push(`--claim ${claim}: this claim belongs to the protocol`)
  else if (STANDARD_CLAIMS.has(claim)) faults.push(`--claim ${claim}: this is a claim of the account itself`)
  if (!ATTRIBUTE_NAME.test(attribute))
    faults.push(`--claim ${claim}: an attribute has 1 to 64 small letters, digits or _, and begins with a letter`)
  return faults
}

/** A program trusts these, so no attribute may stand for one. */
function isProtocolClaim(claim: string): boolean {
  return PROTOCOL_CLAIMS.has(claim)
}

/** IANA's registry of JWT claims, without those about the user; the parameters of an introspection; and the portal's own. */
const PROTOCOL_CLAIMS = new Set(
  (
    'iss sub aud exp nbf iat jti azp nonce auth_time at_hash c_hash s_hash rt_hash acr amr cnf sid sub_id sub_jwk act may_act ' +
    'scope scp client_id events toe txn authorization_details vot vtm atm htm htu ath active token_type token_introspection ' +
    '_claim_names _claim_sources typ fam claims_version reason roles groups entitlements'
  ).split(' '),
)

/** Those of OpenID Connect Core §5.1, also where the portal has none, and what else names a user. */
const STANDARD_CLAIMS = new Set<string>([
  ...IDENTITY_CLAIMS,
  'middle_name',
  'profile',
  'website',
  'gender',
  'birthdate',
  'phone_number_verified',
])

type SectorSettings = Pick<AppRow, 'isPairwise' | 'isNative' | 'isDevice' | 'isService' | 'redirectUris'>

/** What is wrong with pairwise subjects: the sector (OpenID Connect Core §8.1) is the one host of the app's redirect URIs. */
export function pairwiseFaults({ isPairwise, isNative, isDevice, isService, redirectUris }: SectorSettings): string[] {
  if (!isPairwise) return []
  if (isNative || isDevice || isService)
    return ['pairwise subjects need a host of the app: native apps, devices and services have none']
  const hosts = new Set(redirectUris.map((uri) => URL.parse(uri)?.hostname))
  return hosts.size === 1
    ? []
    : [`pairwise subjects need redirect URIs of one host, and these have ${[...hosts].join(', ') || 'none'}`]
}
