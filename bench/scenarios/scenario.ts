import type { VirtualClient } from '../load.ts'
import type { Subject } from '../subjects/subject.ts'

/** One thing that is asked of every subject in the same way. */
export interface Scenario {
  /** The one of the contract. */
  name: string
  /** Requests in flight. */
  concurrency: number
  /** False where the stock library has nothing to compare with. */
  hasStock: boolean
  /** Makes ready, on one subject, what is then measured in slices. */
  prepare(subject: Subject, settings: ScenarioSettings): Promise<Crowd>
}

export interface ScenarioSettings {
  concurrency: number
  /** How many codes one slice may use up. */
  codes: number
}

export interface Crowd {
  clients: VirtualClient[]
  /** What must be there before every slice, and is not part of it. */
  refill?(): Promise<void>
}

export const MACHINE_CONCURRENCY = 32
export const BROWSER_CONCURRENCY = 16
