import { setTimeout as sleep } from 'node:timers/promises'
import { openServices } from '../src/main/services.ts'
import { readConfig } from '../src/config.ts'
import { createLogger } from '../src/logger.ts'
import { findFreePort } from '../src/storage/embedded/free-port.ts'
import type { Service } from '../src/testing/services/service.ts'
import { makeTemporaryFolder } from '../src/testing/services/temporary-folder.ts'
import { pinCores } from './cores.ts'
import { createDatabase } from './database.ts'
import { rounded } from './figures.ts'
import { describeMachine } from './machine.ts'
import type { Options } from './options.ts'
import { publish, say } from './output.ts'
import { memoryOf } from './start/memory.ts'
import { describeStarts, resultOf, type Start, type StartResult } from './start/report.ts'
import { listWays } from './start/ways.ts'
import { withStores } from './stores.ts'
import { PORTAL, settingsFor } from './subjects/portal.ts'
import { startProcess } from './subjects/subject.ts'

/** How long the portal is idle before memory is read. */
const SETTLE_SECONDS = 3

/** The duration and memory of a start. @returns the exit code */
export async function runStart(options: Options): Promise<number> {
  const cores = pinCores(options.cores ?? 'none')
  return withStores(true, async ({ postgres, redis, server }) => {
    const { coldMs, results } = await measureStarts(postgres, redis as Service, cores.prefix, options)
    const machine = describeMachine(server.words, redis?.origin ?? null, cores.words)
    publish(options, { machine, cold_ms: rounded(coldMs, 1), results }, () =>
      describeStarts(machine, coldMs, results, SETTLE_SECONDS),
    )
    return 0
  })
}

async function measureStarts(
  postgres: Service,
  redis: Service,
  prefix: string[],
  { quick, rounds }: Options,
): Promise<{ coldMs: number; results: StartResult[] }> {
  const database = await createDatabase(postgres.url)
  const cache = await makeTemporaryFolder('bench-cache')
  const ways = listWays(database.url, redis.url)
  try {
    const port = await findFreePort()
    const common = { ...settingsFor(port), NODE_COMPILE_CACHE: cache.path }
    await migrate({ ...common, DATABASE_URL: database.url })
    const startOnce = async (settings: Record<string, string>, looksAtMemory: boolean) =>
      start(port, { ...common, ...settings }, prefix, looksAtMemory)

    const unmeasured: number[] = []
    for (const way of ways.all) unmeasured.push((await startOnce(await way.settings(), false)).readyMs)

    const starts = ways.all.map((way) => ({ way, starts: [] as Start[] }))
    const count = rounds ?? (quick ? 3 : 5)
    for (let round = 0; round < count; round++) {
      for (const { way, starts: soFar } of starts) {
        // The idle time takes longest; for a quick look, once is enough.
        const measured = await startOnce(await way.settings(), !quick || round === count - 1)
        soFar.push(measured)
        say(`${way.name}: ${Math.round(measured.readyMs)} ms`)
      }
    }
    return { coldMs: unmeasured[0] as number, results: starts.map(({ way, starts }) => resultOf(way.name, starts)) }
  } finally {
    await ways.clean()
    await cache.remove()
    await database.drop()
  }
}

/** So that no measured start has to. */
async function migrate(env: Record<string, string>): Promise<void> {
  const services = await openServices(readConfig(env), createLogger('silent'))
  await services.storage.close()
}

async function start(
  port: number,
  env: Record<string, string>,
  prefix: string[],
  looksAtMemory: boolean,
): Promise<Start> {
  const folder = await makeTemporaryFolder('bench-start')
  try {
    const program = { ...PORTAL, port, env: { DATA_DIR: folder.path, ...env } }
    const { pid, readyMs, stop } = await startProcess(program, { folder: folder.path, prefix })
    try {
      if (looksAtMemory) await sleep(SETTLE_SECONDS * 1000)
      return { readyMs, memory: looksAtMemory ? memoryOf(pid) : null }
    } finally {
      await stop()
    }
  } finally {
    await folder.remove()
  }
}
