import { type Config, readConfig } from '../config.ts'
import { hasEmbedded } from '../storage/embedded/embedded.ts'
import { CommandRefused } from './command-refused.ts'

/**
 * The configuration of an existing portal. Only `serve` creates one, so that a command run without the portal's settings cannot
 * act on a new and empty database.
 */
export async function readStartedConfig(): Promise<Config> {
  const config = readConfig(process.env, { makeSecret: false })
  if (config.databaseUrl === null && !(await hasEmbedded(config.dataDir)))
    throw new CommandRefused(
      `gatehouse: no portal has been started in ${config.dataDir}: run this where the portal runs, with its settings (DATA_DIR or DATABASE_URL); "gatehouse serve" makes a new one`,
    )
  return config
}

/** Prints to standard error which store and issuer a command works on. */
export function sayPortal(config: Config): void {
  process.stderr.write(`gatehouse: ${storeInWords(config)}, issuer ${config.publicUrl}\n`)
}

/** The location of the store, without credentials. */
function storeInWords({ databaseUrl, dataDir }: Config): string {
  if (databaseUrl === null) return `embedded database in ${dataDir}`
  const { host, pathname, searchParams } = new URL(databaseUrl)
  return `PostgreSQL ${host || (searchParams.get('host') ?? 'on this machine')}${pathname}`
}
