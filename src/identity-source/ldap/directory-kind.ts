import type { Entry } from 'ldapts'
import { valueOf, valuesOf } from './attribute-values.ts'

/** How directories differ in what the portal asks of them. */
export interface DirectoryKind {
  name: 'Active Directory' | '389 Directory Server' | 'LDAP'
  idAttribute: string
  userFilter: string
  /** Compares members with those of groups inside a group, too; null where groups say so themselves. */
  nestedMemberRule: string | null
  username: string
}

/** The attributes of the root DSE (RFC 4512 §5.1) that `kindOf` reads. */
export const ROOT_ATTRIBUTES = ['supportedCapabilities', 'vendorName']

export function kindOf(root: Entry): DirectoryKind {
  if (valuesOf(root, 'supportedCapabilities').includes(ACTIVE_DIRECTORY)) return KINDS.activeDirectory
  if (valueOf(root, 'vendorName')?.startsWith('389 Project') === true) return KINDS.server389
  return KINDS.ldap
}

/** LDAP_CAP_ACTIVE_DIRECTORY_OID (MS-ADTS §3.1.1.3.4.3). */
const ACTIVE_DIRECTORY = '1.2.840.113556.1.4.800'

const INETORGPERSON = '(&(objectClass=person)(|(uid={login})(mail={login})))'

const KINDS = {
  activeDirectory: {
    name: 'Active Directory',
    idAttribute: 'objectGUID',
    // Computers are users there, but no persons.
    userFilter:
      '(&(objectCategory=person)(objectClass=user)(|(sAMAccountName={login})(userPrincipalName={login})(mail={login})))',
    // LDAP_MATCHING_RULE_IN_CHAIN (MS-ADTS §3.1.1.3.4.4).
    nestedMemberRule: '1.2.840.113556.1.4.1941',
    username: 'sAMAccountName',
  },
  server389: {
    name: '389 Directory Server',
    idAttribute: 'nsUniqueId',
    userFilter: INETORGPERSON,
    nestedMemberRule: null,
    username: 'uid',
  },
  ldap: {
    name: 'LDAP',
    idAttribute: 'entryUUID',
    userFilter: INETORGPERSON,
    nestedMemberRule: null,
    username: 'uid',
  },
} as const satisfies Record<string, DirectoryKind>
