import type { Probe } from './probe.ts'

/** One thing that a source must do. */
export interface Check {
  code: string
  title: string
  /** A sentence for the author of the source, where it fails. */
  change: string
  /** The path of the operation that it is about: a wrong answer to another one does not fail it. */
  operation?: string
  /** Null where the source does it; what was found where it does not. @throws Unjudged, NotAsAgreed */
  run: (probe: Probe) => Promise<string | null>
}

export interface Result {
  number: number
  code: string
  title: string
  /** `hint`: it may stay. `skipped`: nothing can be said, for the reason in `found`. */
  result: 'pass' | 'fail' | 'hint' | 'skipped'
  found: string | null
  change: string | null
}
