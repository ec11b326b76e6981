import { readdirSync, readFileSync, writeFileSync } from 'node:fs'

/** A process's entry in Linux's /proc. */
export interface ProcessStat {
  name: string
  parent: number
  /** All threads, ended ones included, without child processes. */
  cpuMicros: number
  /** Of ended children, and of theirs. */
  endedMicros: number
}

/** Linux counts CPU time in hundredths of a second on every platform Node.js runs on. */
const TICK_MICROS = 10_000

/** Parses /proc/<pid>/stat; the name, in parentheses, may hold spaces and parentheses. */
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
 * CPU time (µs) of a process and everything it has started, ended ones included: a server that ends a connection must not seem
 * to have worked less. Null where there is no /proc.
 */
export function cpuOfFamily(pid: number): number | null {
  const family = familyOf(pid)
  return family.length === 0 ? null : family.reduce((total, { stat }) => total + stat.cpuMicros + stat.endedMicros, 0)
}

export interface FamilyMember {
  pid: number
  stat: ProcessStat
}

/** A process, first, and its living descendants; empty where there is no /proc. */
export function familyOf(pid: number): FamilyMember[] {
  const root = statOf(pid)
  if (root === null) return []
  const children = Map.groupBy(listProcesses(), ({ stat }) => stat.parent)
  const descendants = (parent: number): FamilyMember[] =>
    (children.get(parent) ?? []).flatMap((child) => [child, ...descendants(child.pid)])
  return [{ pid, stat: root }, ...descendants(pid)]
}

/** Peak resident memory (MB) since the start or the last `forgetPeakMemory`; null where there is no /proc. */
export function peakMemory(pid: number): number | null {
  return memoryIn(`/proc/${pid}/status`, 'VmHWM')
}

/** Needs permission; without it, the peak since the start stays. */
export function forgetPeakMemory(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5')
  } catch {
    return
  }
}

/** Resident memory (MB), shared pages included; null where there is no /proc. */
export function residentMemory(pid: number): number | null {
  return memoryIn(`/proc/${pid}/status`, 'VmRSS')
}

/** Proportional set size (MB), which can be added up over processes; null where the operating system does not report it. */
export function proportionalMemory(pid: number): number | null {
  return memoryIn(`/proc/${pid}/smaps_rollup`, 'Pss')
}

/** Idle time of all cores together (µs) since boot; null where there is no /proc. */
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

/** Null when it does not exist: processes end while they are read. */
function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}
