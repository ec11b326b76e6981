import type { VirtualClient } from '../load.ts'
import type { Subject } from '../subjects/subject.ts'

/** One kind of request that every subject gets in the same way. */
export interface Scenario {
  /** The name in the contract. */
  name: string
  /** Requests in flight. */
  concurrency: number
  /** False where the stock library has no equivalent. */
  hasStock: boolean
  /** Prepares one subject for the measured slices. */
  prepare(subject: Subject, settings: ScenarioSettings): Promise<Crowd>
}

export interface ScenarioSettings {
  concurrency: number
  /** How many codes one slice may use up. */
  codes: number
}

export interface Crowd {
  clients: VirtualClient[]
  /** Prepares each slice, and is not part of it. */
  refill?(): Promise<void>
}

export const MACHINE_CONCURRENCY = 32
export const BROWSER_CONCURRENCY = 16
