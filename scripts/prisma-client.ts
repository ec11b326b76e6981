/**
 * `npm run build`: generates the Prisma client (src/storage/client) from prisma/schema.prisma when it is missing or out of date.
 * It needs the development packages, and neither the network nor install scripts.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  CANNOT_GENERATE,
  hashPrismaSource,
  isPrismaClientCurrent,
  PRISMA_CLIENT,
  STAMP,
} from '../src/storage/prisma-client.ts'

const ROOT = join(import.meta.dirname, '..')
const PRISMA = join(ROOT, 'node_modules/prisma/build/index.js')

if (!isPrismaClientCurrent()) process.exitCode = build()

/** @returns the exit code */
function build(): number {
  if (!existsSync(PRISMA)) {
    console.error(CANNOT_GENERATE)
    return 1
  }
  // Beside the client, because a folder can be renamed only within one file system. The name starts with a dot, so that tsc
  // ignores it.
  const folder = mkdtempSync(`${join(PRISMA_CLIENT, '..')}/.client-`)
  try {
    const generated = generate(folder)
    if (generated !== null) install(generated, folder)
    return generated === null ? 1 : 0
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Generates a client inside `folder`. @returns its path; null when Prisma failed, which it has reported itself */
function generate(folder: string): string | null {
  const source = hashPrismaSource()
  const schema = join(folder, 'prisma/schema.prisma')
  cpSync(join(ROOT, 'prisma/schema.prisma'), schema)

  const { status, error, stdout, stderr } = spawnSync(process.execPath, [PRISMA, 'generate', '--schema', schema], {
    cwd: folder,
    encoding: 'utf8',
    env: {
      ...process.env,
      // No schema engine is needed to generate, but Prisma downloads one unless it gets some executable.
      PRISMA_SCHEMA_ENGINE_BINARY: process.execPath,
      PRISMA_HIDE_UPDATE_MESSAGE: '1',
      CHECKPOINT_DISABLE: '1',
    },
  })
  if (status !== 0) {
    console.error(`gatehouse: the Prisma client could not be generated.\n${error?.message ?? `${stdout}${stderr}`}`)
    return null
  }
  // The schema's output path is relative to itself.
  const client = join(folder, 'src/storage/client')
  writeFileSync(join(client, STAMP), source)
  return client
}

/**
 * Moves a generated client into place. When several processes generate at once, the first wins and the others keep its client.
 * Check and renames are synchronous, so the moment without a client is shorter than any process needs to load one.
 */
function install(generated: string, folder: string): void {
  if (isPrismaClientCurrent()) return
  try {
    renameSync(PRISMA_CLIENT, join(folder, 'replaced'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  try {
    renameSync(generated, PRISMA_CLIENT)
  } catch (error) {
    if (!isPrismaClientCurrent()) throw error
  }
}
