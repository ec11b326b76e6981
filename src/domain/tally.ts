import type { TallyRow } from '../storage/tallies.ts'

/** What is counted as it happens; the second ones belong to an app. */
export const COUNTED = ['sign_in', 'failed_sign_in'] as const
export const COUNTED_BY_APP = ['refresh', 'refused_refresh', 'reuse', 'family_opened', 'family_ended'] as const
/** What the doctor wants to know of the processes that serve; it is in no plot. */
export const OBSERVED = ['forwarded_for_ignored'] as const
export type Counted = (typeof COUNTED)[number] | (typeof COUNTED_BY_APP)[number] | (typeof OBSERVED)[number]

/** Counts are kept for each five minutes at first. */
export const FINEST_SECONDS = 300

/**
 * Counts what happens in this process, in memory: that costs no request a statement. `writeCounts` writes the counts every few
 * seconds, so a process that is killed loses those of its last seconds.
 */
export class Tally {
  #counts = new Map<string, TallyRow>()
  readonly #clock: () => Date
  readonly #counted: (kind: Counted, clientId: string, count: number) => void

  /** @param counted is told of everything that is counted, once */
  constructor(clock: () => Date, counted: (kind: Counted, clientId: string, count: number) => void = () => {}) {
    this.#clock = clock
    this.#counted = counted
  }

  count(kind: Counted, clientId = '', count = 1): void {
    const begun = Math.floor(this.#clock().getTime() / (FINEST_SECONDS * 1000)) * FINEST_SECONDS * 1000
    this.#add({ at: new Date(begun), seconds: FINEST_SECONDS, kind, clientId, count })
    this.#counted(kind, clientId, count)
  }

  /** Puts back what could not be written. */
  putBack(rows: TallyRow[]): void {
    for (const row of rows) this.#add(row)
  }

  /** Takes all counts out. */
  take(): TallyRow[] {
    const rows = [...this.#counts.values()]
    this.#counts = new Map()
    return rows
  }

  #add(row: TallyRow): void {
    const key = `${row.at.getTime()} ${row.kind} ${row.clientId}`
    const known = this.#counts.get(key)
    if (known === undefined) this.#counts.set(key, row)
    else known.count += row.count
  }
}
