import { join } from 'node:path'
import { Writable } from 'node:stream'
import type { ApiGrants } from '../../domain/apps/app-apis.ts'
import { type ApiSettings, createApi } from '../../domain/apps/apis.ts'
import { createApp as registerApp } from '../../domain/apps/apps.ts'
import type { Services } from '../../domain/services.ts'
import { createLogger } from '../../logger.ts'
import { startServer } from '../../main/server.ts'
import { openServices } from '../../main/services.ts'
import { findFreePort } from '../../storage/embedded/free-port.ts'
import { Client } from '../browser/client.ts'
import { createMigratedDatabase, type StorageKind, type TestDatabase } from './databases.ts'
import { addIdentity } from './identities.ts'
import type { ada } from './people.ts'
import { testConfig } from './open-portal.ts'
import { borrowKeys, takeSpareKeys } from './spare-keys.ts'
import { makeTemporaryFolder } from '../services/temporary-folder.ts'

export interface TestServer {
  /** The issuer, and the origin of every page. */
  url: string
  /** The same rules on the same stores, for what an operator would do. */
  services: Services
  database: TestDatabase
  /** The folder of the mail preview. */
  mailFolder: string
  /** Every line the portal has logged so far. */
  log(): string
  addIdentity(person: typeof ada, extra?: { roles?: string[]; emailVerified?: boolean }): Promise<string>
  /** @returns the secret; null for a public app */
  addApp(clientId: string, settings: Parameters<typeof registerApp>[2], apis?: ApiGrants): Promise<string | null>
  /** @returns the credential with which it asks for introspections */
  addApi(identifier: string, settings: ApiSettings): Promise<Client>
  close(): Promise<void>
}

/** The portal over real HTTP, on a port and a database of its own. */
export async function startTestServer(
  options: {
    kind?: StorageKind
    env?: Record<string, string>
    database?: TestDatabase
    clock?: () => Date
    /** Password hashing costs as much as in production. */
    hasUsualPasswordCost?: boolean
  } = {},
): Promise<TestServer> {
  const database = options.database ?? (await createMigratedDatabase(options.kind))
  // The port is part of the issuer, so it must be known before the portal starts.
  const port = await findFreePort()
  const lines: string[] = []
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString())
      done()
    },
  })
  const folder = await makeTemporaryFolder('server')
  const env = { PORT: String(port), LOG_LEVEL: 'info', DATA_DIR: folder.path, ...options.env }
  const { passwordCost, ...usual } = testConfig(database, env)
  const config = options.hasUsualPasswordCost || passwordCost === undefined ? usual : { ...usual, passwordCost }
  const isOrdinary = options.database === undefined && options.env?.['GATEHOUSE_SECRET'] === undefined
  if (isOrdinary) await takeSpareKeys(database, options.clock?.() ?? new Date())
  const server = await startServer(config, createLogger(config.logLevel, destination), options.clock)
  const services = await openServices(config, createLogger('silent'), options.clock)
  const leaveKeys = isOrdinary ? await borrowKeys(services.storage.pool) : null

  return {
    url: config.publicUrl,
    services,
    database,
    mailFolder: join(config.dataDir, 'outbox'),
    log: () => lines.join(''),
    addIdentity: (person, extra) => addIdentity(services, person, extra),
    async addApp(clientId, settings, apis) {
      return (await registerApp(services, clientId, settings, null, apis)).secret
    },
    async addApi(identifier, settings) {
      const { api, secret } = await createApi(services, identifier, settings)
      return new Client(config.publicUrl, api.clientId, secret, '')
    },
    async close() {
      await server.stop()
      await services.passwords.close()
      await services.identitySource?.close()
      await services.storage.close()
      await folder.remove()
      if (options.database === undefined) await database.drop()
      leaveKeys?.()
    },
  }
}
