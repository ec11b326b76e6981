import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { thisMachine } from '../src/testing/services/machine.ts'
import { startPostgres } from '../src/testing/services/postgres.ts'
import { startRedis } from '../src/testing/services/redis.ts'
import type { Service } from '../src/testing/services/service.ts'
import { makeTemporaryFolder } from '../src/testing/services/temporary-folder.ts'
import { type Cores, pinCores } from './cores.ts'
import { createDatabase, type Database } from './database.ts'
import { type DatabaseServer, describeMachine, lookAtDatabase } from './machine.ts'
import type { Options, StoreKind } from './options.ts'
import { describeEndpoints, type EndpointResult, resultOf } from './report.ts'
import { type Measurement, measureScenario } from './rounds.ts'
import { SCENARIOS } from './scenarios/all.ts'
import type { Scenario } from './scenarios/scenario.ts'
import { startFloor } from './subjects/floor.ts'
import { requireHonesty } from './subjects/honesty.ts'
import { startPortal } from './subjects/portal.ts'
import { startStock } from './subjects/stock.ts'
import type { Subject } from './subjects/subject.ts'

const KINDS = [startPortal, startFloor, startStock]

/** Every endpoint of the contract, beside its floor and the stock library. Answers with the exit code. */
export async function runEndpoints(options: Options): Promise<number> {
  const scenarios = SCENARIOS.filter(({ name }) => options.only.length === 0 || options.only.includes(name))
  const unknown = options.only.filter((name) => !scenarios.some((scenario) => scenario.name === name))
  if (unknown.length > 0) throw new Error(`there is no scenario ${unknown.join(', ')}`)

  // Before anything starts, because what starts inherits it.
  const cores = pinCores(options.cores)
  const services: Service[] = []
  try {
    const machine = { ...thisMachine, say }
    const postgres = await startPostgres(machine)
    services.push(postgres)
    const redis = options.stores.includes('postgres+redis') ? await startRedis(machine) : null
    if (redis !== null) services.push(redis)
    const server = await lookAtDatabase(postgres.url)

    const results: EndpointResult[] = []
    for (const store of options.stores) {
      const redisUrl = store === 'postgres' ? null : (redis?.url ?? null)
      results.push(...(await runStore(store, { postgres, redisUrl, server, cores, scenarios, options })))
    }

    const words = describeMachine(server.words, redis?.origin ?? null, cores)
    process.stdout.write(
      options.json
        ? `${JSON.stringify({ machine: words, results }, null, 2)}\n`
        : describeEndpoints(words, results, options),
    )
    return results.some(({ errors, floor, stock }) => errors + floor.errors + (stock?.errors ?? 0) > 0) ? 1 : 0
  } finally {
    for (const service of services.toReversed()) await service.stop()
  }
}

interface StoreRun {
  postgres: Service
  redisUrl: string | null
  server: DatabaseServer
  cores: Cores
  scenarios: Scenario[]
  options: Options
}

/** All scenarios on one kind of store, with subjects and databases made for it. */
async function runStore(store: StoreKind, run: StoreRun): Promise<EndpointResult[]> {
  const { postgres, redisUrl, server, cores, scenarios, options } = run
  const folder = await makeTemporaryFolder('bench')
  const databases: Database[] = []
  const subjects: Subject[] = []
  const profileFolder = options.profile ? await mkdtemp(join(tmpdir(), 'gatehouse-profile-')) : null
  try {
    for (const start of KINDS) {
      const database = await createDatabase(postgres.url)
      databases.push(database)
      subjects.push(
        await start({
          databaseUrl: database.url,
          redisUrl,
          folder: folder.path,
          prefix: cores.prefix,
          profileFolder,
        }),
      )
    }
    for (const subject of subjects) await requireHonesty(subject)

    const results: EndpointResult[] = []
    for (const scenario of scenarios) {
      const taking = subjects.filter(({ name }) => name !== 'stock' || scenario.hasStock)
      const measurements: Measurement[] = await measureScenario(scenario, taking, server.pid, options)
      const result = resultOf(store, scenario, measurements)
      results.push(result)
      say(`${store} · ${scenario.name}: ${Math.round(result.rps)}/s`)
      for (const { subject, firstError } of measurements)
        if (firstError !== null) say(`  ${subject.name}: ${firstError}`)
    }
    return results
  } finally {
    for (const subject of subjects) await subject.stop()
    for (const database of databases) await database.drop()
    await folder.remove()
    if (profileFolder !== null) say(`CPU profile of the portal (${store}): ${profileFolder}`)
  }
}

/** Standard output belongs to the results. */
function say(line: string): void {
  console.error(line)
}
