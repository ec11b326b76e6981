import { openServices } from '../../main/services.ts'
import { type Config, readConfig } from '../../config.ts'
import type { Services } from '../../domain/services.ts'
import { createLogger } from '../../logger.ts'
import { createClock, type TestClock } from './clock.ts'
import { createMigratedDatabase, type StorageKind, type TestDatabase } from './databases.ts'
import { borrowKeys, takeSpareKeys } from './spare-keys.ts'

export const TEST_SECRET = 'a root secret for tests of 32 bytes or more'

/** Every sign-in hashes a password, which would cost most tests more than their subject. */
export const TEST_PASSWORD_COST = { memoryCost: 64, timeCost: 2 }

export function testConfig(
  database: Pick<TestDatabase, 'databaseUrl' | 'redisUrl' | 'env'>,
  env: Record<string, string> = {},
): Config {
  const config = readConfig({
    NODE_ENV: 'test',
    GATEHOUSE_SECRET: TEST_SECRET,
    DATABASE_URL: database.databaseUrl,
    LOG_LEVEL: 'silent',
    // All tests make attempts from one IP address; the tests of throttling set these.
    LOGIN_ATTEMPTS_BEFORE_DELAY: '100',
    IP_BLOCK_AFTER: '0',
    // A fully loaded test machine is not an unavailable store; the tests of outages set this.
    STORE_TIMEOUT_MS: '15000',
    // Tests move the clock by months in a moment, and a key that is not published any more says nothing about its tokens.
    KEY_ROTATION: 'off',
    ...(database.redisUrl === null ? {} : { REDIS_URL: database.redisUrl }),
    ...database.env,
    ...env,
  })
  return { ...config, passwordCost: TEST_PASSWORD_COST }
}

export interface TestPortal extends Services {
  clock: TestClock
  /** Closes the stores and drops the database. */
  close(): Promise<void>
}

/** The rules on a database of their own, with a clock that stands still. */
export async function openTestPortal(
  kind: StorageKind = 'postgres',
  env: Record<string, string> = {},
): Promise<TestPortal> {
  const database = await createMigratedDatabase(kind)
  const clock = createClock()
  const hasUsualSecret = env['GATEHOUSE_SECRET'] === undefined
  if (hasUsualSecret) await takeSpareKeys(database, clock())
  const services = await openServices(testConfig(database, env), createLogger('silent'), clock)
  const leaveKeys = hasUsualSecret ? await borrowKeys(services.storage.pool) : null
  return {
    ...services,
    clock,
    async close() {
      await services.passwords.close()
      await services.storage.close()
      await database.drop()
      leaveKeys?.()
    },
  }
}
