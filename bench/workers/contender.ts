import { familyOf, idleMicros, statOf } from '../processes.ts'
import { measureRound, type Round, warmUp } from '../rounds.ts'
import { refresh } from '../scenarios/refresh.ts'
import type { Crowd } from '../scenarios/scenario.ts'
import type { Subject } from '../subjects/subject.ts'

/** Enough connections for a round robin to spread them evenly. */
const CONNECTIONS = 64

/** A portal with this many workers, and its clients. */
export interface Contender {
  workers: number
  portal: Subject
  /** The serving processes: the workers, or the only process. */
  serving: number[]
  crowd: Crowd
  rounds: WorkerRound[]
}

export interface WorkerRound extends Round {
  /** Share of a core, in the order of `serving`. */
  coresUsed: number[]
  /** Idle cores of the machine; null where the operating system does not report them. */
  idleCores: number | null
}

export async function makeContender(workers: number, portal: Subject, warmUpSeconds: number): Promise<Contender> {
  const crowd = await refresh.prepare(portal, { concurrency: CONNECTIONS, codes: 0 })
  await warmUp(portal, crowd, warmUpSeconds)
  const children = familyOf(portal.pid).filter(({ stat }) => stat.parent === portal.pid)
  const serving = children.length === 0 ? [portal.pid] : children.map(({ pid }) => pid)
  return { workers, portal, serving, crowd, rounds: [] }
}

export async function measureWorkers(
  { portal, serving, crowd }: Contender,
  databasePid: number | null,
  seconds: number,
): Promise<WorkerRound> {
  const startedAt = performance.now()
  const cpuBefore = serving.map(cpuOf)
  const idleBefore = idleMicros()
  const round = await measureRound(portal, crowd, databasePid, seconds)
  const micros = (performance.now() - startedAt) * 1000
  const idleAfter = idleMicros()
  return {
    ...round,
    coresUsed: serving.map((pid, index) => (cpuOf(pid) - (cpuBefore[index] ?? 0)) / micros),
    idleCores: idleBefore === null || idleAfter === null ? null : (idleAfter - idleBefore) / micros,
  }
}

function cpuOf(pid: number): number {
  return statOf(pid)?.cpuMicros ?? 0
}
