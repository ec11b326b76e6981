import { familyOf, proportionalMemory, residentMemory } from '../processes.ts'

/** In MB; null where the operating system does not report it. */
export interface Memory {
  /** Resident, of the one process; null where there are more. */
  rss_mb: number | null
  /** The proportional set size of all processes of the portal, which can be added up. */
  pss_mb: number | null
  /** Of the embedded database. */
  database_pss_mb: number | null
}

export function memoryOf(pid: number): Memory {
  const family = familyOf(pid)
  const database = family.filter(({ stat }) => stat.name.startsWith('postgres'))
  const portal = family.filter((member) => !database.includes(member))
  return {
    rss_mb: portal.length === 1 ? residentMemory(pid) : null,
    pss_mb: sumOf(portal.map((member) => proportionalMemory(member.pid))),
    database_pss_mb: sumOf(database.map((member) => proportionalMemory(member.pid))),
  }
}

/** Null when there is nothing to add up, or something is unknown. */
function sumOf(parts: (number | null)[]): number | null {
  const known = parts.filter((part) => part !== null)
  return known.length === 0 || known.length < parts.length ? null : known.reduce((total, part) => total + part, 0)
}
