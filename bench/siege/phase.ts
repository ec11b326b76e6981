import { setTimeout as sleep } from 'node:timers/promises'
import { say } from '../output.ts'
import { cpuOfFamily, forgetPeakMemory, peakMemory } from '../processes.ts'
import type { Crowd } from '../scenarios/scenario.ts'
import type { Subject } from '../subjects/subject.ts'
import { attack, type AttackOutcome } from './attack.ts'
import { type PacedSlice, runPaced } from './paced-load.ts'

export interface Phase {
  name: string
  /** How many users sign in at once while apps refresh. */
  signInConnections: number
}

export const IDLE: Phase = { name: 'idle', signInConnections: 0 }
/** The second is more than may wait for hashing, so the others are refused. */
export const SIEGES: Phase[] = [
  { name: 'siege', signInConnections: 64 },
  { name: 'overflow', signInConnections: 256 },
]

export interface SiegePace {
  seconds: number
  rounds: number
  /** How long its sign-ins run before a phase is measured. */
  leadSeconds: number
  refreshesPerSecond: number
}

/** The result of one phase in one round. */
export interface PhaseOutcome {
  refresh: PacedSlice
  signIns: AttackOutcome | null
  /** Cores that the portal kept busy; null where the operating system does not report it. */
  cores_used: number | null
  peak_mb: number | null
}

export async function measurePhase(
  { name, signInConnections }: Phase,
  portal: Subject,
  { clients }: Crowd,
  { seconds, leadSeconds, refreshesPerSecond }: SiegePace,
): Promise<PhaseOutcome> {
  forgetPeakMemory(portal.pid)
  const attacking = signInConnections === 0 ? null : attack(portal, signInConnections, leadSeconds + seconds)
  await sleep(leadSeconds * 1000)

  const cpuBefore = cpuOfFamily(portal.pid)
  const startedAt = performance.now()
  const refresh = await runPaced(portal.port, clients, refreshesPerSecond, seconds)
  const micros = (performance.now() - startedAt) * 1000
  const cpuAfter = cpuOfFamily(portal.pid)

  const signIns = await attacking
  for (const words of [refresh.firstError, signIns?.firstError ?? null]) if (words !== null) say(`  ${name}: ${words}`)
  return {
    refresh,
    signIns,
    cores_used: cpuBefore === null || cpuAfter === null ? null : (cpuAfter - cpuBefore) / micros,
    peak_mb: peakMemory(portal.pid),
  }
}
