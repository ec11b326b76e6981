import { setTimeout as sleep } from 'node:timers/promises'
import { pinCores } from './cores.ts'
import { describeMachine } from './machine.ts'
import type { Options } from './options.ts'
import { publish, say } from './output.ts'
import { warmUp } from './rounds.ts'
import { refresh } from './scenarios/refresh.ts'
import { runPaced } from './siege/paced-load.ts'
import { describeSource, resultOf, type SourcePace, type SourceRound } from './source/report.ts'
import { startSource } from './source/running-source.ts'
import { guestBrowsers } from './source/sign-ins.ts'
import { withStores } from './stores.ts'
import { install } from './subjects/installation.ts'
import { startPortal } from './subjects/portal.ts'
import type { Subject } from './subjects/subject.ts'

/** As many sign-ins as may wait for a slow source at a time. */
const BROWSERS = 64

/** How much refreshes notice of users who sign in by way of a slow identity source. @returns the exit code */
export async function runSource(options: Options): Promise<number> {
  const cores = pinCores(options.cores ?? 'none')
  const pace = paceOf(options)
  return withStores(false, async ({ postgres, server }) => {
    const source = await startSource(pace.latencyMs)
    try {
      const portal = await install(startPortal, postgres.url, {
        redisUrl: null,
        prefix: cores.prefix,
        profileFolder: null,
        // Each browser has an IP address of its own.
        env: { ...source.env, TRUST_PROXY: 'true' },
      })
      try {
        const result = resultOf(await measure(portal, source.password, pace))
        const machine = describeMachine(server.words, null, cores.words)
        publish(options, { machine, pace, result }, () => describeSource(machine, result, pace))
        return result.refresh_errors + result.sign_in_errors > 0 ? 1 : 0
      } finally {
        await portal.stop()
      }
    } finally {
      await source.stop()
    }
  })
}

function paceOf({ quick, seconds, rounds }: Options): SourcePace {
  return {
    seconds: seconds ?? (quick ? 6 : 60),
    rounds: rounds ?? (quick ? 1 : 3),
    refreshesPerSecond: 100,
    signInsPerMinute: 1000,
    latencyMs: 200,
  }
}

async function measure(portal: Subject, password: string, pace: SourcePace): Promise<SourceRound[]> {
  const { seconds, refreshesPerSecond, signInsPerMinute } = pace
  const crowd = await refresh.prepare(portal, { concurrency: refresh.concurrency, codes: 0 })
  const browsers = guestBrowsers(portal, password, BROWSERS)
  const signIns = async (time: number) => runPaced(portal.port, browsers, signInsPerMinute / 60, time)
  await warmUp(portal, crowd, 2)
  await signIns(2)

  const rounds: SourceRound[] = []
  for (let round = 0; round < pace.rounds; round++) {
    const idle = await runPaced(portal.port, crowd.clients, refreshesPerSecond, seconds)
    // The sign-ins begin earlier and go on for longer, so that no refresh is measured without them.
    const signingIn = signIns(seconds + 2)
    await sleep(1000)
    const beside = await runPaced(portal.port, crowd.clients, refreshesPerSecond, seconds)
    const outcome = { idle, beside, signIns: await signingIn }
    rounds.push(outcome)
    for (const { firstError } of Object.values(outcome)) if (firstError !== null) say(`  ${firstError}`)
    say(`refresh p99 ${idle.p99_ms.toFixed(1)} ms idle, ${beside.p99_ms.toFixed(1)} ms beside sign-ins`)
  }
  return rounds
}
