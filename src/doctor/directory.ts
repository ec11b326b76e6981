import { type Finding, finding } from '../domain/findings.ts'
import type { Limits } from '../identity-source/ldap/connection.ts'
import type { Patient } from './patient.ts'

const LIMITS: Limits = { connection: 3000, answer: 3000 }

/** Whether the LDAP directory in which users live takes our login, and has the entries that the settings name. */
export async function examineDirectory({ config: { identitySource } }: Pick<Patient, 'config'>): Promise<Finding[]> {
  if (identitySource === null || identitySource.ldap === null) return []
  const { url, secret, ldap } = identitySource
  const { checkDirectory } = await import('../identity-source/ldap/directory-check.ts')
  const answer = await checkDirectory({ ...ldap, url, password: secret }, LIMITS)
  const { host } = new URL(url)
  const line = `IDENTITY_SOURCE_URL=${url}`
  switch (answer.kind) {
    case 'ready':
      return answer.missingGroups.map((group) =>
        finding(
          'directory_group',
          `The directory ${host} shows no group ${group}, so it gives no roles.`,
          'LDAP_ROLE_GROUPS=…',
        ),
      )
    case 'unreachable':
      return [finding('directory_unreachable', `The directory ${host} does not answer (${answer.problem}).`, line)]
    case 'certificate':
      return [
        finding(
          'directory_certificate',
          `The certificate of the directory ${host} is not trusted (${answer.problem}).`,
          answer.problem.includes('ALTNAME') ? line : 'LDAP_CA_FILE=/etc/gatehouse/directory-ca.pem',
        ),
      ]
    case 'refuses-bind':
      return [
        finding(
          'directory_login',
          `The directory ${host} refuses the account of the portal (${answer.problem}).`,
          `LDAP_BIND_DN=${ldap.bindDn}`,
        ),
      ]
    case 'no-base':
    case 'refuses-search':
      return [
        finding(
          'directory_base',
          `The directory ${host} does not show the entry below which users are (${answer.problem}).`,
          line,
        ),
      ]
  }
}
