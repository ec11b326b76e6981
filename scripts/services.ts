import type { ServiceAddress } from '../src/testing/services/addresses.ts'
import { dropTemplates } from '../src/testing/portal/template-database.ts'
import { startPostgres } from '../src/testing/services/postgres.ts'
import { UNFLUSHED } from '../src/testing/services/postgres-cluster.ts'
import { thisMachine } from '../src/testing/services/machine.ts'
import { startRedis } from '../src/testing/services/redis.ts'
import type { Service } from '../src/testing/services/service.ts'
import { makeTemporaryFolder } from '../src/testing/services/temporary-folder.ts'

export interface TestServices {
  /** How the tests find them. */
  environment: Record<ServiceAddress, string>
  stop: () => Promise<void>
}

/** Starts the servers that the tests use, and describes them. */
export async function startServices(): Promise<TestServices> {
  const postgres = await startPostgres(thisMachine, UNFLUSHED)
  console.log(postgres.origin)

  const redis = await startRedis().catch(async (error: unknown) => {
    await postgres.stop()
    throw error
  })
  console.log(redis.origin)

  const embedded = await makeTemporaryFolder('embedded')
  return {
    environment: {
      TEST_DATABASE_URL: postgres.url,
      TEST_REDIS_URL: redis.url,
      TEST_EMBEDDED_DIR: embedded.path,
    },
    stop: async () => {
      // A server that existed before is left as it was.
      await dropTemplates(postgres.url)
      await stopAll([redis, postgres])
      await embedded.remove()
    },
  }
}

async function stopAll(services: Service[]): Promise<void> {
  for (const service of services) await service.stop()
}
