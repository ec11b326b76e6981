import { EqualityFilter, ExtensibleFilter, NoSuchAttributeError, NoSuchObjectError, OrFilter } from 'ldapts'
import type { Connection } from './connection.ts'
import type { DirectoryKind } from './directory-kind.ts'
import type { LdapSettings } from './ldap-settings.ts'

/** The entry of a user. */
export interface Member {
  dn: string
  username: string
}

/**
 * The roles of a user, by the groups they are in. The directory compares, because a DN can be written in many ways.
 * @param missing is told of a group that the directory does not have, or does not show
 */
export async function rolesOf(
  connection: Connection,
  member: Member,
  roleGroups: LdapSettings['roleGroups'],
  kind: DirectoryKind,
  missing: (group: string) => void,
): Promise<string[]> {
  // All at once: to a directory far away, the way there takes the most time.
  const memberships = await Promise.all(
    roleGroups.map(async ({ role, group }) => ((await isIn(connection, group, member, kind, missing)) ? [role] : [])),
  )
  return [...new Set(memberships.flat())]
}

async function isIn(
  connection: Connection,
  group: string,
  member: Member,
  kind: DirectoryKind,
  missing: (group: string) => void,
): Promise<boolean> {
  try {
    const found = await connection.search(group, {
      scope: 'base',
      filter: filterOfMember(member, kind),
      attributes: ['1.1'],
    })
    if (found.length === 1) return true
  } catch (error) {
    if (!(error instanceof NoSuchObjectError)) throw error
    missing(group)
    return false
  }
  // 389 Directory Server and FreeIPA write the groups around a group into the entry of the user.
  return kind.nestedMemberRule === null && (await saysItIsIn(connection, member, group))
}

function filterOfMember({ dn, username }: Member, { nestedMemberRule }: DirectoryKind): OrFilter {
  const direct = new EqualityFilter({ attribute: 'member', value: dn })
  if (nestedMemberRule !== null)
    return new OrFilter({
      filters: [direct, new ExtensibleFilter({ matchType: 'member', rule: nestedMemberRule, value: dn })],
    })
  return new OrFilter({
    filters: [
      direct,
      new EqualityFilter({ attribute: 'uniqueMember', value: dn }),
      new EqualityFilter({ attribute: 'memberUid', value: username }),
    ],
  })
}

async function saysItIsIn(connection: Connection, { dn }: Member, group: string): Promise<boolean> {
  try {
    return await connection.compare(dn, 'memberOf', group)
  } catch (error) {
    if (error instanceof NoSuchAttributeError || error instanceof NoSuchObjectError) return false
    throw error
  }
}
