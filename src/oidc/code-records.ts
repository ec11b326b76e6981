import type { AdapterPayload } from 'oidc-provider'
import type { ClientInfo } from '../domain/client-info.ts'
import { CODE_KIND } from '../domain/families/authorization-codes.ts'
import type { DeviceApproval } from '../domain/families/device-codes.ts'

/** What the record of a code keeps of the library's fields. */
export const CODE_FIELDS = [
  'accountId',
  'acr',
  'amr',
  'authTime',
  'claims',
  'clientId',
  'codeChallenge',
  'codeChallengeMethod',
  'dpopJkt',
  'grantId',
  'nonce',
  'redirectUri',
  'resource',
  'scope',
  'sid',
] as const

/**
 * What it leaves out: the code itself, which is a secret; its times, because the store knows when it expires; and what belongs to
 * the library's session, which ends no family.
 */
export const LEFT_OUT = ['exp', 'expiresWithSession', 'iat', 'jti', 'kind', 'sessionUid'] as const

export type IssuedCode = Pick<AdapterPayload, (typeof CODE_FIELDS)[number]>

/** What a code's authorization grants, by OpenID Connect scope and claim, and by resource. */
export type Granted = Pick<AdapterPayload, 'openid' | 'resources'>

/** The family that a code may open. */
export interface PendingFamily {
  grant: AdapterPayload
  identitySessionId: string | null
  /** The authorization had `prompt=none`: no page was shown. */
  openedSilently?: true
  /** The approval of a device, which has no identity session. */
  device?: { approval: DeviceApproval; clientInfo: Pick<ClientInfo, 'browser' | 'address'> }
}

/** As the exchange reads it. */
export interface CodeRecord {
  accountId: string
  scope: string
  resource: string
  authTime: number
  acr?: string
  amr?: string[]
  nonce?: string
  sid?: string
  pending: { grant: { openid?: { scope?: string }; resources?: Record<string, string> } }
}

/**
 * The record of a code, the same from the fast path and from the library: the fields of the code, and the family it may open.
 * @param signIn the identity session it comes from, and whether the app asked for no page
 * @throws for a field that the record would lose; a new version of the library may bind a code to something more
 */
export function codeRecord(
  code: IssuedCode,
  { openid, resources }: Granted,
  { identitySessionId, isSilent }: { identitySessionId: string | null; isSilent: boolean },
): object {
  const given = Object.entries(code).filter(([, value]) => value !== undefined)
  const known: readonly string[] = CODE_FIELDS
  const lost = given.find(([name]) => !known.includes(name) && !(LEFT_OUT as readonly string[]).includes(name))
  if (lost !== undefined) throw new Error(`the record of an authorization code has no place for ${lost[0]}`)

  const { grantId: jti, accountId, clientId } = code
  const pending: PendingFamily = {
    grant: { kind: 'Grant', jti, accountId, clientId, openid, resources },
    identitySessionId,
    ...(isSilent ? { openedSilently: true } : {}),
  }
  return { kind: CODE_KIND, ...Object.fromEntries(given.filter(([name]) => known.includes(name))), pending }
}
