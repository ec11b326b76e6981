import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '../..')

/** The folder of the generated Prisma client. It is not in git. */
export const PRISMA_CLIENT = join(import.meta.dirname, 'client')

/** In the client's folder: the hash of what the client was generated from. */
export const STAMP = 'generated-from'

/** For the operator. */
export const CANNOT_GENERATE =
  'gatehouse: the Prisma client (src/storage/client) is missing or out of date, and its generator is not installed: run "npm ci && npm run build" first; "npm prune --omit=dev --omit=optional" may follow.'

/** SHA-256 of the schema and of Prisma's version, in hex. */
export function hashPrismaSource(): string {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'node_modules/@prisma/client/package.json'), 'utf8')) as {
    version: string
  }
  return createHash('sha256')
    .update(readFileSync(join(ROOT, 'prisma/schema.prisma')))
    .update(version)
    .digest('hex')
}

/** Whether the client was generated from the schema, and by the Prisma, that are here now. It takes about a millisecond. */
export function isPrismaClientCurrent(): boolean {
  try {
    // Git leaves the stamp when it removes the client of a commit that still had it.
    if (!existsSync(join(PRISMA_CLIENT, 'client.ts'))) return false
    return readFileSync(join(PRISMA_CLIENT, STAMP), 'utf8') === hashPrismaSource()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}

/**
 * Generates the client when it is not current, as in a fresh checkout.
 * @returns false when that failed; standard error then says why
 */
export function preparePrismaClient(): boolean {
  if (isPrismaClientCurrent()) return true
  // A container image has no scripts: its build has generated the client.
  const script = join(ROOT, 'scripts/prisma-client.ts')
  if (existsSync(script)) return spawnSync(process.execPath, [script], { stdio: ['ignore', 2, 2] }).status === 0
  process.stderr.write(`${CANNOT_GENERATE}\n`)
  return false
}
