import { describeMachine } from './machine.ts'
import type { Options } from './options.ts'
import { publish, say } from './output.ts'
import { withStores } from './stores.ts'
import { install, installAll, stopAll } from './subjects/installation.ts'
import { startPortal } from './subjects/portal.ts'
import type { Subject } from './subjects/subject.ts'
import { type Contender, makeContender, measureWorkers } from './workers/contender.ts'
import { type CpuQuota, limitCpu } from './workers/cpu-quota.ts'
import { chooseMethod, type Method } from './workers/method.ts'
import { describeWorkers, resultOf } from './workers/report.ts'

/** Whether more worker processes answer more requests. @returns the exit code */
export async function runWorkers(options: Options): Promise<number> {
  // Before anything starts, because children inherit the cores.
  const method = await chooseMethod()
  const pace = paceOf(options)
  return withStores(false, async ({ postgres, server }) => {
    const portals = await installAll(
      method.counts.map((workers) =>
        install(startPortal, postgres.url, {
          redisUrl: null,
          prefix: method.prefixFor(workers),
          profileFolder: null,
          env: { WORKERS: String(workers) },
        }),
      ),
    )
    try {
      const contenders = await compare(portals, method, server.pid, pace)
      const results = contenders.map((contender) => resultOf(contender, contenders[0] as Contender, method))
      const machine = describeMachine(server.words, null, method.words)
      publish(options, { machine, pace, results }, () => describeWorkers(machine, results, pace.rounds, pace.seconds))
      return results.some(({ errors }) => errors > 0) ? 1 : 0
    } finally {
      await stopAll(portals)
    }
  })
}

interface WorkersPace {
  seconds: number
  rounds: number
  warmUpSeconds: number
}

function paceOf({ quick, seconds, rounds }: Options): WorkersPace {
  return { seconds: seconds ?? (quick ? 3 : 5), rounds: rounds ?? (quick ? 2 : 5), warmUpSeconds: quick ? 2 : 5 }
}

async function compare(
  portals: Subject[],
  { counts, share, hasQuota }: Method,
  databasePid: number | null,
  pace: WorkersPace,
): Promise<Contender[]> {
  const contenders: Contender[] = []
  for (const [index, portal] of portals.entries())
    contenders.push(await makeContender(counts[index] as number, portal, pace.warmUpSeconds))

  const quotas: CpuQuota[] = []
  try {
    if (share !== null && hasQuota)
      for (const pid of contenders.flatMap(({ serving }) => serving)) quotas.push(await limitCpu(pid, share))
    for (let round = 0; round < pace.rounds; round++) {
      for (const contender of contenders) {
        const measured = await measureWorkers(contender, databasePid, pace.seconds)
        contender.rounds.push(measured)
        say(`WORKERS=${contender.workers}: ${Math.round(measured.rps)}/s`)
        if (measured.firstError !== null) say(`  ${measured.firstError}`)
      }
    }
    return contenders
  } finally {
    for (const quota of quotas) await quota.remove()
  }
}
