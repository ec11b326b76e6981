import { openServices } from '../src/main/services.ts'
import { createLogger } from '../src/logger.ts'
import { testConfig } from '../src/testing/portal/open-portal.ts'
import { createDatabase } from './database.ts'
import { describeLifetimes } from './lifetimes/report.ts'
import { LIFETIMES_ENV, simulate, type Size } from './lifetimes/simulation.ts'
import { describeMachine } from './machine.ts'
import type { Options } from './options.ts'
import { publish } from './output.ts'
import { withStores } from './stores.ts'

const FULL: Size = { clients: 10_000, refreshes: 1_000_000, thefts: 10_000 }
const QUICK: Size = { clients: 160, refreshes: 8000, thefts: 120 }

/** Whether honest clients keep their families, and thieves do not (reuse detection). @returns the exit code */
export async function runLifetimes(options: Options): Promise<number> {
  const preset = options.quick ? QUICK : FULL
  const size: Size = {
    clients: options.families ?? preset.clients,
    refreshes: options.rotations ?? preset.refreshes,
    thefts: options.families ?? preset.thefts,
  }
  return withStores(false, async ({ postgres, server }) => {
    const database = await createDatabase(postgres.url)
    const url = new URL(database.url)
    // Synchronous commits make no difference here.
    url.searchParams.set('options', '-c synchronous_commit=off')
    const config = testConfig({ databaseUrl: url.href, redisUrl: null }, LIFETIMES_ENV)
    const services = await openServices(config, createLogger('silent'))
    try {
      const result = await simulate(services, size)
      const machine = describeMachine(server.words, null, 'no core of its own')
      publish(options, { machine, size, ...result }, () => describeLifetimes(machine, size, result))
      const wrong = result.honest.some((row) => row.ended > (row.isProven ? 0 : row.excluded))
      return wrong || result.stolen.some((row) => row.missed > 0) ? 1 : 0
    } finally {
      await services.passwords.close()
      await services.storage.close()
      await database.drop()
    }
  })
}
