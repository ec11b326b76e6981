import { readdirSync, readFileSync, writeFileSync } from 'node:fs'

/** What Linux says of a process in /proc. */
export interface ProcessStat {
  name: string
  parent: number
  /** All threads, ended ones included; children not. */
  cpuMicros: number
  /** Of children that have ended, and of theirs. */
  endedMicros: number
}

/** Linux counts CPU in hundredths of a second on every platform Node runs on. */
const TICK_MICROS = 10_000

/** The line of /proc/<pid>/stat; the name, in parentheses, may hold blanks and parentheses itself. */
export function parseStat(line: string): ProcessStat {
  const nameEnd = line.lastIndexOf(')')
  const fields = line.slice(nameEnd + 2).split(' ')
  const micros = (...places: number[]) => places.reduce((sum, place) => sum + Number(fields[place]) * TICK_MICROS, 0)
  return {
    name: line.slice(line.indexOf('(') + 1, nameEnd),
    parent: Number(fields[1]),
    cpuMicros: micros(11, 12),
    endedMicros: micros(13, 14),
  }
}

/**
 * CPU (µs) of a process and everything it has started, whether or not that still lives: a server that ends a connection must
 * not seem to have worked less. Null where there is no /proc.
 */
export function cpuOfFamily(pid: number): number | null {
  const family = familyOf(pid)
  return family.length === 0 ? null : family.reduce((total, { stat }) => total + stat.cpuMicros + stat.endedMicros, 0)
}

export interface FamilyMember {
  pid: number
  stat: ProcessStat
}

/** A process, first, and everything it has started that lives; empty where there is no /proc. */
export function familyOf(pid: number): FamilyMember[] {
  const root = statOf(pid)
  if (root === null) return []
  const children = Map.groupBy(listProcesses(), ({ stat }) => stat.parent)
  const descendants = (parent: number): FamilyMember[] =>
    (children.get(parent) ?? []).flatMap((child) => [child, ...descendants(child.pid)])
  return [{ pid, stat: root }, ...descendants(pid)]
}

/** The most memory (MB) that was resident since the start or the last `forgetPeakMemory`; null where there is no /proc. */
export function peakMemory(pid: number): number | null {
  return memoryIn(`/proc/${pid}/status`, 'VmHWM')
}

/** Not everybody may; then the peak stays the one since the start. */
export function forgetPeakMemory(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5')
  } catch {
    return
  }
}

/** What is resident (MB), shared pages included; null where there is no /proc. */
export function residentMemory(pid: number): number | null {
  return memoryIn(`/proc/${pid}/status`, 'VmRSS')
}

/** What is resident (MB), of shared pages only its part, so that processes can be added up; null where nobody tells. */
export function proportionalMemory(pid: number): number | null {
  return memoryIn(`/proc/${pid}/smaps_rollup`, 'Pss')
}

/** What all cores together have idled (µs) since the machine started; null where there is no /proc. */
export function idleMicros(): number | null {
  const [, idle, waiting] = /^cpu +(?:\d+ ){3}(\d+) (\d+)/.exec(read('/proc/stat') ?? '') ?? []
  return idle === undefined ? null : (Number(idle) + Number(waiting)) * TICK_MICROS
}

export function statOf(pid: number): ProcessStat | null {
  const line = read(`/proc/${pid}/stat`)
  return line === null ? null : parseStat(line)
}

function memoryIn(path: string, field: string): number | null {
  const kilobytes = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(read(path) ?? '')?.[1]
  return kilobytes === undefined ? null : Math.round(Number(kilobytes) / 1024)
}

function listProcesses(): FamilyMember[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const stat = statOf(Number(name))
      return stat === null ? [] : [{ pid: Number(name), stat }]
    })
}

/** Null when it is not there, or any more: processes end while they are looked at. */
function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}
