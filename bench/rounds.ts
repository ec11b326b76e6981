import { median, medianOrNull } from './figures.ts'
import { runSlice, type Slice } from './load.ts'
import type { Options } from './options.ts'
import { cpuOfFamily, peakMemory } from './processes.ts'
import type { Crowd, Scenario } from './scenarios/scenario.ts'
import type { Subject } from './subjects/subject.ts'

/** How long and how often a scenario runs. */
export interface Pace {
  /** Of one slice: one scenario on one subject. */
  seconds: number
  rounds: number
  /** Long enough for the JIT compiler. */
  warmUpSeconds: number
  /** How many codes one slice of the code exchange uses up. */
  codes: number
}

export function paceOf({ quick, seconds, rounds }: Options): Pace {
  return {
    seconds: seconds ?? (quick ? 0.4 : 1.25),
    rounds: rounds ?? (quick ? 2 : 5),
    warmUpSeconds: quick ? 0.3 : 2,
    codes: quick ? 150 : 600,
  }
}

/** The results of one subject in all rounds of one scenario; medians over the rounds. */
export interface Measurement {
  subject: Subject
  rounds: Round[]
  requests: number
  rps: number
  /** Of the subject, per request; null where the operating system does not report it. */
  cpu_us: number | null
  /** Of PostgreSQL, per request. */
  db_cpu_us: number | null
  p50_ms: number
  p99_ms: number
  /** Of all rounds and the warm-up together. */
  errors: number
  firstError: string | null
  /** Peak memory since the subject was started. */
  rss_mb: number | null
}

export interface Round extends Slice {
  cpu_us: number | null
  db_cpu_us: number | null
}

/** The subjects take turns, so that other load on the machine affects all alike. */
export async function measureScenario(
  scenario: Scenario,
  subjects: Subject[],
  databasePid: number | null,
  pace: Pace,
): Promise<Measurement[]> {
  const { concurrency } = scenario
  const entries: { subject: Subject; crowd: Crowd; warmUp: Slice[]; rounds: Round[] }[] = []
  for (const subject of subjects) {
    const crowd = await scenario.prepare(subject, { concurrency, codes: pace.codes })
    entries.push({ subject, crowd, warmUp: await warmUp(subject, crowd, pace.warmUpSeconds), rounds: [] })
  }
  for (let round = 0; round < pace.rounds; round++) {
    for (const { subject, crowd, rounds } of entries)
      rounds.push(await measureRound(subject, crowd, databasePid, pace.seconds))
  }
  return entries.map(({ subject, warmUp, rounds }) => summarise(subject, warmUp, rounds))
}

/** Slices that add up to this many seconds: one may end early, when its codes are used up. */
export async function warmUp({ port }: Subject, { clients, refill }: Crowd, seconds: number): Promise<Slice[]> {
  const slices: Slice[] = []
  for (let left = seconds; left > 0;) {
    await refill?.()
    const slice = await runSlice(port, clients, left)
    slices.push(slice)
    if (slice.requests === 0) break
    left -= slice.seconds
  }
  return slices
}

export async function measureRound(
  subject: Subject,
  crowd: Crowd,
  databasePid: number | null,
  seconds: number,
): Promise<Round> {
  await crowd.refill?.()
  const before = readCpu(subject.pid, databasePid)
  const slice = await runSlice(subject.port, crowd.clients, seconds)
  const after = readCpu(subject.pid, databasePid)
  const perRequest = (from: number | null, to: number | null) =>
    from === null || to === null ? null : (to - from) / slice.requests
  return {
    ...slice,
    cpu_us: perRequest(before.subject, after.subject),
    db_cpu_us: perRequest(before.database, after.database),
  }
}

function readCpu(pid: number, databasePid: number | null) {
  return { subject: cpuOfFamily(pid), database: databasePid === null ? null : cpuOfFamily(databasePid) }
}

function summarise(subject: Subject, warmUp: Slice[], rounds: Round[]): Measurement {
  const slices = [...warmUp, ...rounds]
  return {
    subject,
    rounds,
    requests: rounds.reduce((total, { requests }) => total + requests, 0),
    rps: median(rounds.map(({ rps }) => rps)),
    cpu_us: medianOrNull(rounds.map(({ cpu_us }) => cpu_us)),
    db_cpu_us: medianOrNull(rounds.map(({ db_cpu_us }) => db_cpu_us)),
    p50_ms: median(rounds.map(({ p50_ms }) => p50_ms)),
    p99_ms: median(rounds.map(({ p99_ms }) => p99_ms)),
    errors: slices.reduce((total, { errors }) => total + errors, 0),
    firstError: slices.find(({ firstError }) => firstError !== null)?.firstError ?? null,
    rss_mb: peakMemory(subject.pid),
  }
}
