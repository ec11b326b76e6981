import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Cores, pinCores } from './cores.ts'
import { describeMachine } from './machine.ts'
import type { Options, StoreKind } from './options.ts'
import { publish, say } from './output.ts'
import { describeEndpoints, type EndpointResult, resultOf } from './report.ts'
import { measureScenario, paceOf } from './rounds.ts'
import { SCENARIOS } from './scenarios/all.ts'
import type { Scenario } from './scenarios/scenario.ts'
import { type Stores, withStores } from './stores.ts'
import { startFloor } from './subjects/floor.ts'
import { requireHonesty } from './subjects/honesty.ts'
import { install, installAll, stopAll } from './subjects/installation.ts'
import { startPortal } from './subjects/portal.ts'
import { startStock, startTypical } from './subjects/stock.ts'

const KINDS = [startPortal, startFloor, startStock]
/** A common set-up keeps everything in Redis. */
const KINDS_WITH_REDIS = [...KINDS, startTypical]

/** Every endpoint of the contract, beside its floor and the stock library. @returns the exit code */
export async function runEndpoints(options: Options): Promise<number> {
  const scenarios = SCENARIOS.filter(({ name }) => options.only.length === 0 || options.only.includes(name))
  const unknown = options.only.filter((name) => !scenarios.some((scenario) => scenario.name === name))
  if (unknown.length > 0) throw new Error(`there is no scenario ${unknown.join(', ')}`)

  // Before anything starts, because children inherit it.
  const cores = pinCores(options.cores ?? 'pin')
  return withStores(options.stores.includes('postgres+redis'), async (stores) => {
    const results: EndpointResult[] = []
    for (const store of options.stores) results.push(...(await runStore(store, { stores, cores, scenarios, options })))

    const machine = describeMachine(stores.server.words, stores.redis?.origin ?? null, cores.words)
    publish(options, { machine, results }, () => describeEndpoints(machine, results, paceOf(options)))
    return results.some(
      ({ errors, floor, stock, typical }) => errors + floor.errors + (stock?.errors ?? 0) + (typical?.errors ?? 0) > 0,
    )
      ? 1
      : 0
  })
}

interface StoreRun {
  stores: Stores
  cores: Cores
  scenarios: Scenario[]
  options: Options
}

/** All scenarios on one kind of store, with new subjects and databases. */
async function runStore(store: StoreKind, { stores, cores, scenarios, options }: StoreRun): Promise<EndpointResult[]> {
  const { postgres, redis, server } = stores
  const profileFolder = options.profile ? await mkdtemp(join(tmpdir(), 'gatehouse-profile-')) : null
  const redisUrl = store === 'postgres' ? null : (redis?.url ?? null)
  const settings = { redisUrl, prefix: cores.prefix, profileFolder, env: {} }
  const kinds = store === 'postgres' ? KINDS : KINDS_WITH_REDIS
  const subjects = await installAll(kinds.map((start) => install(start, postgres.url, settings)))
  try {
    for (const subject of subjects) await requireHonesty(subject)

    const results: EndpointResult[] = []
    for (const scenario of scenarios) {
      const taking = subjects.filter(({ name }) => name === 'portal' || name === 'floor' || scenario.hasStock)
      const measurements = await measureScenario(scenario, taking, server.pid, paceOf(options))
      const result = resultOf(store, scenario, measurements)
      results.push(result)
      say(`${store} · ${scenario.name}: ${Math.round(result.rps)}/s`)
      for (const { subject, firstError } of measurements)
        if (firstError !== null) say(`  ${subject.name}: ${firstError}`)
    }
    return results
  } finally {
    await stopAll(subjects)
    if (profileFolder !== null) say(`CPU profile of the portal (${store}): ${profileFolder}`)
  }
}
