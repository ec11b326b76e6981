import { randomBytes } from 'node:crypto'
import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ConfigError } from './config-error.ts'

/** Makes the root secret of a portal in development once, and keeps it, so that people stay signed in after a restart. */
export function makeDevelopmentSecret(dataDir: string): string {
  const path = secretPath(dataDir)
  mkdirSync(dataDir, { recursive: true })
  if (!existsSync(path)) {
    const draft = `${path}.${process.pid}`
    writeFileSync(draft, `${randomBytes(48).toString('base64url')}\n`, { mode: 0o600 })
    try {
      // A link appears whole or not at all, and never replaces what a process that starts beside us has made.
      linkSync(draft, path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    } finally {
      rmSync(draft)
    }
  }
  return readDevelopmentSecret(dataDir)
}

/** @throws ConfigError where no portal has made one */
export function readDevelopmentSecret(dataDir: string): string {
  try {
    return readFileSync(secretPath(dataDir), 'utf8').trim()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    throw new ConfigError(
      `gatehouse: no portal has been started in ${dataDir}: run this where the portal runs, with its settings (DATA_DIR, or DATABASE_URL and GATEHOUSE_SECRET); "gatehouse serve" makes a new one`,
    )
  }
}

function secretPath(dataDir: string): string {
  return join(dataDir, 'secret')
}
