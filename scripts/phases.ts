import { styleText } from 'node:util'
import type { Totals } from './totals.ts'

export interface Phase {
  name: string
  /** Rejects with the reason when the phase cannot be carried out; prints what its tools do not. */
  run: () => Promise<Verdict | void>
}

/** Set by the phases that run tests. */
export interface Verdict {
  totals: Totals
  /** Why the phase failed; null when it passed. */
  problem: string | null
}

export interface Outcome {
  name: string
  state: 'passed' | 'failed' | 'not run'
  seconds: number
  totals: Totals | null
}

/** Runs the phases in order. After a failure the others do not run, unless `keepGoing` is set. */
export async function runPhases(phases: Phase[], keepGoing: boolean): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  for (const phase of phases) {
    const hasFailed = outcomes.some((outcome) => outcome.state === 'failed')
    outcomes.push(hasFailed && !keepGoing ? leaveOut(phase) : await runPhase(phase))
  }
  return outcomes
}

async function runPhase(phase: Phase): Promise<Outcome> {
  console.log(styleText('bold', `\n── ${phase.name}`))
  const startedAt = performance.now()
  const { totals, problem } = await judge(phase)
  const seconds = (performance.now() - startedAt) / 1000

  if (problem !== null) console.log(styleText('red', problem))
  console.log(`${phase.name}: ${problem === null ? 'passed' : 'FAILED'} in ${seconds.toFixed(1)} s`)
  return { name: phase.name, state: problem === null ? 'passed' : 'failed', seconds, totals }
}

async function judge(phase: Phase): Promise<{ totals: Totals | null; problem: string | null }> {
  try {
    return (await phase.run()) ?? { totals: null, problem: null }
  } catch (error) {
    return { totals: null, problem: error instanceof Error ? error.message : String(error) }
  }
}

function leaveOut(phase: Phase): Outcome {
  return { name: phase.name, state: 'not run', seconds: 0, totals: null }
}

/** The table that ends a run: every phase, its result and its duration. */
export function describeOutcomes(outcomes: Outcome[]): string {
  const width = Math.max(...outcomes.map((outcome) => outcome.name.length))
  return outcomes
    .map(
      ({ name, state, seconds }) => `  ${name.padEnd(width)}  ${state.padEnd(7)}  ${seconds.toFixed(1).padStart(6)} s`,
    )
    .join('\n')
}
