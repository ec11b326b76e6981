import { Refused } from '../refused.ts'

/** Roles of the portal itself: an administrator may do everything under /admin; support may read, end sessions and send resets. */
export const ADMIN = 'admin'
export const SUPPORT = 'support'

const MOST_ROLES = 100

export function isRoleName(role: string): boolean {
  return /^[\w.:-]{1,64}$/.test(role)
}

/** Roles as they are stored: without duplicates. @throws Refused for what can be no role */
export function readRoles(roles: readonly string[]): string[] {
  if (!roles.every(isRoleName))
    throw new Refused('a role has 1 to 64 letters, digits, dots, colons, dashes or underscores')
  const all = [...new Set(roles)]
  if (all.length > MOST_ROLES) throw new Refused(`there are at most ${MOST_ROLES} roles`)
  return all
}
