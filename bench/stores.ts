import { thisMachine } from '../src/testing/services/machine.ts'
import { startPostgres } from '../src/testing/services/postgres.ts'
import { startRedis } from '../src/testing/services/redis.ts'
import type { Service } from '../src/testing/services/service.ts'
import { type DatabaseServer, lookAtDatabase } from './machine.ts'
import { say } from './output.ts'

/** The store servers of a part of the benchmark. */
export interface Stores {
  postgres: Service
  redis: Service | null
  server: DatabaseServer
}

/** Runs them for as long as `use` runs. */
export async function withStores<T>(wantsRedis: boolean, use: (stores: Stores) => Promise<T>): Promise<T> {
  const machine = { ...thisMachine, say }
  const services: Service[] = []
  try {
    const postgres = await startPostgres(machine)
    services.push(postgres)
    const redis = wantsRedis ? await startRedis(machine) : null
    if (redis !== null) services.push(redis)
    return await use({ postgres, redis, server: await lookAtDatabase(postgres.url) })
  } finally {
    for (const service of services.toReversed()) await service.stop()
  }
}
