import { transaction } from '../storage/postgres.ts'
import { addTallies, deletePastTallies, listTallies, rollUpTallies, snapshotFamilies } from '../storage/tallies.ts'
import { inBatches } from './batches.ts'
import type { Services } from './services.ts'
import { COUNTED, COUNTED_BY_APP, FINEST_SECONDS } from './tally.ts'
import { addSeconds } from './time.ts'

const HOUR = 3600
const DAY = 24 * HOUR

/** The number of living families, which is read every hour. */
const LIVING = 'living_families'
const GAUGES = [LIVING]

export const STATISTICS_KINDS = [...COUNTED, ...COUNTED_BY_APP, LIVING] as const
export type StatisticsKind = (typeof STATISTICS_KINDS)[number]

/** The last hour by five minutes, the last day by the hour, or the last 30 days by the day. */
export const STATISTICS_RANGES = {
  hour: { seconds: FINEST_SECONDS, count: 12 },
  day: { seconds: HOUR, count: 24 },
  month: { seconds: DAY, count: 30 },
} as const
export type StatisticsRange = keyof typeof STATISTICS_RANGES

/** How long counts stay as fine as they are (seconds): five minutes, hours, days. */
const FINE_FOR = 3 * HOUR
const HOURS_FOR = 3 * DAY
const KEPT_FOR = 400 * DAY

/** Rows in one statement, and the pause between two. */
const SIZE = 1000
const PAUSE_MS = 40

export interface Statistics {
  /** The times that were counted, each `seconds` long, the oldest first. The last one is not over. */
  times: Date[]
  seconds: number
  /** A number for each time. Null where living families were not read. */
  series: { kind: StatisticsKind; clientId: string | null; appName: string | null; counts: (number | null)[] }[]
}

/** What was counted, in times that begin at whole hours and days (UTC). @param clientId of this app alone */
export async function readStatistics(
  services: Services,
  range: StatisticsRange,
  clientId: string | null,
): Promise<Statistics> {
  const { seconds, count } = STATISTICS_RANGES[range]
  const length = seconds * 1000
  const last = Math.floor(services.clock().getTime() / length) * length
  const times = Array.from({ length: count }, (_, index) => new Date(last - (count - 1 - index) * length))
  const from = times[0] as Date
  const rows = await listTallies(services.storage.pool, { from, seconds, clientId, gauges: GAUGES })
  const groups = Map.groupBy(
    rows.filter(({ at, kind }) => at.getTime() <= last && (STATISTICS_KINDS as readonly string[]).includes(kind)),
    ({ kind, clientId: app }) => `${kind} ${app}`,
  )
  const series = [...groups.values()].map((group) => {
    const { kind, clientId: app, appName } = group[0] as (typeof group)[number]
    const found = new Map(group.map((row) => [row.at.getTime(), row.count]))
    const none = GAUGES.includes(kind) ? null : 0
    const counts = times.map((time) => found.get(time.getTime()) ?? none)
    return { kind: kind as StatisticsKind, clientId: app === '' ? null : app, appName, counts }
  })
  return { times, seconds, series }
}

/** Writes what this process has counted. Without the database the counts stay in memory, a row for each five minutes and app. */
export async function writeCounts({ tally, storage }: Pick<Services, 'tally' | 'storage'>): Promise<void> {
  const rows = tally.take()
  try {
    await addTallies(storage.pool, rows)
  } catch (error) {
    tally.putBack(rows)
    throw error
  }
}

/** Reads how many families live, once an hour in one process. */
export async function countLivingFamilies(services: Services): Promise<boolean> {
  const hour = Math.floor(services.clock().getTime() / (HOUR * 1000)) * HOUR * 1000
  return transaction(services.storage.pool, (db) =>
    snapshotFamilies(db, { at: new Date(hour), seconds: HOUR, kind: LIVING }),
  )
}

/** Rolls five minutes into hours and hours into days, and forgets days after more than a year. @returns how many rows */
export async function condenseTallies(services: Services, signal?: AbortSignal, pauseMs = PAUSE_MS): Promise<number> {
  const { pool } = services.storage
  const before = (seconds: number, unit: number) => {
    const at = addSeconds(services.clock(), -seconds).getTime()
    return new Date(Math.floor(at / (unit * 1000)) * unit * 1000)
  }
  const steps = [
    (limit: number) =>
      rollUpTallies(pool, { from: FINEST_SECONDS, to: HOUR, before: before(FINE_FOR, HOUR), gauges: GAUGES }, limit),
    (limit: number) =>
      rollUpTallies(pool, { from: HOUR, to: DAY, before: before(HOURS_FOR, DAY), gauges: GAUGES }, limit),
    (limit: number) => deletePastTallies(pool, before(KEPT_FOR, DAY), limit),
  ]
  let count = 0
  for (const step of steps) count += await inBatches(step, { size: SIZE, pauseMs, signal })
  return count
}
