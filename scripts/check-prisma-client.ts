import { cp, readdir, readFile, symlink } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { run } from '../src/testing/services/command.ts'
import { findProgram, thisMachine } from '../src/testing/services/machine.ts'
import { makeTemporaryFolder } from '../src/testing/services/temporary-folder.ts'
import { ROOT, toolEnvironment } from './tool.ts'

const CLIENT = 'src/storage/client'
const LIMIT = 120_000

/**
 * Generates the client once more, in a copy of what it is generated from, and compares.
 * @throws Error that lists the files of the committed client that the schema would give otherwise.
 */
export async function checkPrismaClient(): Promise<void> {
  const folder = await makeTemporaryFolder('prisma')
  try {
    await generate(folder.path)
    const differing = await findDifferences(join(ROOT, CLIENT), join(folder.path, CLIENT))
    if (differing.length > 0) {
      const files = differing.map((file) => `  ${join(CLIENT, file)}`).join('\n')
      throw new Error(`The committed client does not match prisma/schema.prisma: run "npx prisma generate".\n${files}`)
    }
  } finally {
    await folder.remove()
  }
}

async function generate(folder: string): Promise<void> {
  for (const source of ['prisma', 'prisma.config.ts', 'package.json', 'tsconfig.json']) {
    await cp(join(ROOT, source), join(folder, source), { recursive: true })
  }
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'))

  // Generating needs no schema engine, yet the command downloads one unless it is shown some program.
  const env = {
    ...toolEnvironment(),
    PRISMA_SCHEMA_ENGINE_BINARY: findProgram(thisMachine, 'false') ?? process.execPath,
    PRISMA_HIDE_UPDATE_MESSAGE: '1',
    CHECKPOINT_DISABLE: '1',
  }
  await run(join(ROOT, 'node_modules/.bin/prisma'), ['generate'], { cwd: folder, env, limit: LIMIT })
}

async function findDifferences(committed: string, generated: string): Promise<string[]> {
  const names = new Set([...(await listFiles(committed)), ...(await listFiles(generated))])
  const differing: string[] = []
  for (const name of [...names].toSorted()) {
    const [one, other] = await Promise.all([contentOf(join(committed, name)), contentOf(join(generated, name))])
    if (one !== other) differing.push(name)
  }
  return differing
}

async function listFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  return entries.filter((entry) => entry.isFile()).map((entry) => relative(folder, join(entry.parentPath, entry.name)))
}

async function contentOf(path: string): Promise<string | null> {
  return readFile(path, 'utf8').catch(() => null)
}
