import { pinCores } from './cores.ts'
import { describeMachine } from './machine.ts'
import type { Options } from './options.ts'
import { publish, say } from './output.ts'
import { warmUp } from './rounds.ts'
import { refresh } from './scenarios/refresh.ts'
import { attack } from './siege/attack.ts'
import { IDLE, measurePhase, type PhaseOutcome, type SiegePace, SIEGES } from './siege/phase.ts'
import { describeSiege, resultOf, type SiegeResult } from './siege/report.ts'
import { withStores } from './stores.ts'
import { install } from './subjects/installation.ts'
import { startPortal } from './subjects/portal.ts'
import type { Subject } from './subjects/subject.ts'

/** How many simultaneous sign-ins slow down the refreshes of apps. @returns the exit code */
export async function runSiege(options: Options): Promise<number> {
  // Hashing takes every core it gets, so by default all processes share all cores.
  const cores = pinCores(options.cores ?? 'none')
  const pace = paceOf(options)
  return withStores(false, async ({ postgres, server }) => {
    const settings = { redisUrl: null, prefix: cores.prefix, profileFolder: null, env: {} }
    const portal = await install(startPortal, postgres.url, settings)
    try {
      const results = await besiege(portal, pace)
      const machine = describeMachine(server.words, null, cores.words)
      publish(options, { machine, pace, results }, () => describeSiege(machine, results, pace))
      return results.some((one) => one.refresh_errors + one.sign_in_errors + one.busy_without_retry_after > 0) ? 1 : 0
    } finally {
      await portal.stop()
    }
  })
}

function paceOf({ quick, seconds, rounds }: Options): SiegePace {
  return {
    seconds: seconds ?? (quick ? 3 : 10),
    rounds: rounds ?? (quick ? 2 : 3),
    leadSeconds: quick ? 0.5 : 1,
    refreshesPerSecond: 100,
  }
}

async function besiege(portal: Subject, pace: SiegePace): Promise<SiegeResult[]> {
  const crowd = await refresh.prepare(portal, { concurrency: refresh.concurrency, codes: 0 })
  await warmUp(portal, crowd, 2)
  await attack(portal, 4, 1)

  const phases = [IDLE, ...SIEGES]
  const outcomes = new Map(phases.map((phase) => [phase, [] as PhaseOutcome[]]))
  for (let round = 0; round < pace.rounds; round++) {
    for (const [phase, rounds] of outcomes) {
      const outcome = await measurePhase(phase, portal, crowd, pace)
      rounds.push(outcome)
      say(`${phase.name}: refresh p99 ${outcome.refresh.p99_ms.toFixed(1)} ms`)
    }
  }
  const idle = outcomes.get(IDLE) ?? []
  return phases.map((phase) => resultOf(phase, outcomes.get(phase) ?? [], idle))
}
