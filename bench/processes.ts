import { readdirSync, readFileSync } from 'node:fs'

/** What Linux says of a process in /proc. */
export interface ProcessStat {
  name: string
  parent: number
  /** All threads, ended ones included; children not. */
  cpuMicros: number
}

/** Linux counts CPU in hundredths of a second on every platform Node runs on. */
const TICK_MICROS = 10_000

/** The line of /proc/<pid>/stat; the name, in parentheses, may hold blanks and parentheses itself. */
export function parseStat(line: string): ProcessStat {
  const nameEnd = line.lastIndexOf(')')
  const fields = line.slice(nameEnd + 2).split(' ')
  return {
    name: line.slice(line.indexOf('(') + 1, nameEnd),
    parent: Number(fields[1]),
    cpuMicros: (Number(fields[11]) + Number(fields[12])) * TICK_MICROS,
  }
}

/** CPU (µs) of a process and everything it has started so far; null where there is no /proc. */
export function cpuOfFamily(pid: number): number | null {
  const root = statOf(pid)
  if (root === null) return null
  const children = Map.groupBy(listProcesses(), ({ stat }) => stat.parent)
  const sum = (parent: number): number =>
    (children.get(parent) ?? []).reduce((total, child) => total + child.stat.cpuMicros + sum(child.pid), 0)
  return root.cpuMicros + sum(pid)
}

/** The most memory (MB) that was ever resident; null where there is no /proc. */
export function peakMemory(pid: number): number | null {
  const kilobytes = /^VmHWM:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`) ?? '')?.[1]
  return kilobytes === undefined ? null : Math.round(Number(kilobytes) / 1024)
}

export function statOf(pid: number): ProcessStat | null {
  const line = read(`/proc/${pid}/stat`)
  return line === null ? null : parseStat(line)
}

function listProcesses(): { pid: number; stat: ProcessStat }[] {
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
