import type { Certificate } from '../network/authority.ts'
import { findSlapd, type Slapd, startSlapd } from './slapd.ts'

export const BASE = 'dc=example,dc=com'
/** The account with which a portal searches there. */
export const PORTAL = { dn: `cn=portal,${BASE}`, password: 'password of the portal' }
export const DIRECTORY_PASSWORD = 'engines weave algebra'

/**
 * A directory as OpenLDAP's users have it: Ada is in the group `admins`, Grace in no group, and `crowd` more users are called
 * `user0`, `user1` and so on. The password of all is DIRECTORY_PASSWORD.
 */
export async function startDirectory(certificate: Certificate, { crowd = 0, database = '' } = {}): Promise<Slapd> {
  const people = [
    personOf('ada', 'Ada', 'Lovelace'),
    personOf('grace', 'Grace', 'Hopper'),
    ...Array.from({ length: crowd }, (_, n) => personOf(`user${n}`, 'User', String(n))),
  ]
  return startSlapd(await findSlapd(), {
    base: BASE,
    certificate,
    database,
    ldif: `${rootLdif()}${people.join('')}`,
  })
}

/** What `slapadd` and `ldapadd` read. */
export function personOf(uid: string, givenName: string, sn: string, more = ''): string {
  return `dn: uid=${uid},ou=people,${BASE}
objectClass: inetOrgPerson
uid: ${uid}
cn: ${givenName} ${sn}
displayName: ${givenName} ${sn}
givenName: ${givenName}
sn: ${sn}
mail: ${uid}@example.com
userPassword: ${DIRECTORY_PASSWORD}
${more}
`
}

/**
 * The same server with the attributes and the root DSE of Active Directory, for what the portal does there. It is no Active
 * Directory: it has other rules for passwords, and no rule for groups in groups.
 */
export async function startLikeActiveDirectory(certificate: Certificate, { database = '' } = {}): Promise<Slapd> {
  return startSlapd(await findSlapd(), {
    base: BASE,
    certificate,
    database: `access to attrs=unicodePwd by dn.exact="${PORTAL.dn}" write by * none\n${database}`,
    schema: WINDOWS_SCHEMA,
    rootDse: 'supportedCapabilities: 1.2.840.113556.1.4.800',
    ldif: `${rootLdif()}${windowsUser('ada', 'AAECAwQFBgcICQoLDA0ODw==', 512)}${windowsUser('grace', '//79/Pv6+fj39vX08/Lx8A==', 514)}`,
  })
}

export function windowsUser(name: string, guid: string, control: number, more = ''): string {
  return `dn: cn=${name},ou=people,${BASE}
objectClass: user
objectCategory: person
cn: ${name}
sn: ${name}
sAMAccountName: ${name}
userPrincipalName: ${name}@corp.example.com
mail: ${name}@example.com
objectGUID:: ${guid}
userAccountControl: ${control}
accountExpires: 9223372036854775807
userPassword: ${DIRECTORY_PASSWORD}
${more}
`
}

function rootLdif(): string {
  return `dn: ${BASE}
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: ou=people,${BASE}
objectClass: organizationalUnit
ou: people

dn: ou=groups,${BASE}
objectClass: organizationalUnit
ou: groups

dn: ${PORTAL.dn}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: portal
userPassword: ${PORTAL.password}

dn: cn=policy,${BASE}
objectClass: organizationalRole
objectClass: pwdPolicy
cn: policy
pwdAttribute: userPassword
pwdMustChange: TRUE
pwdMinLength: 8
pwdCheckQuality: 2

`
}

const TEXT = 'EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15'
const NUMBER = 'EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE'
const BYTES = 'EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE'

/** With the names and syntaxes of MS-ADA1 to MS-ADA3. */
const WINDOWS_SCHEMA = `
attributetype ( 1.2.840.113556.1.4.221 NAME 'sAMAccountName' ${TEXT} SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.656 NAME 'userPrincipalName' ${TEXT} SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.782 NAME 'objectCategory' ${TEXT} SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.2 NAME 'objectGUID' ${BYTES} )
attributetype ( 1.2.840.113556.1.4.8 NAME 'userAccountControl' ${NUMBER} )
attributetype ( 1.2.840.113556.1.4.159 NAME 'accountExpires' ${NUMBER} )
attributetype ( 1.2.840.113556.1.4.90 NAME 'unicodePwd' ${BYTES} )
attributetype ( 1.3.6.1.4.1.99999.1 NAME 'supportedCapabilities' ${TEXT} )
objectclass ( 1.2.840.113556.1.5.9 NAME 'user' SUP inetOrgPerson STRUCTURAL
  MUST ( sAMAccountName $ objectGUID $ objectCategory )
  MAY ( userPrincipalName $ userAccountControl $ accountExpires $ unicodePwd ) )
`
