import { createHash } from 'node:crypto'
import { appendFile, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../src/testing/services/command.ts'
import { ROOT, toolEnvironment } from './tool.ts'

const FOLDER = 'prisma/migrations'
/** One line for each migration: the SHA-256 of its SQL and its name. Lines are only added. */
const FILE = `${FOLDER}/checksums.txt`
const GIT_LIMIT = 30_000

/** Checksums by the name of the migration. */
export type Checksums = Map<string, string>

/**
 * A landed migration never changes: compares each file with its checksum, and the checksums with every version of their file on
 * the main branch. Prints a line where there is no such history.
 * @throws Error that lists what was changed, removed or never recorded
 */
export async function checkMigrations(root = ROOT): Promise<void> {
  const recorded = await readRecorded(root)
  const history = await readHistory(root)
  if (typeof history === 'string') console.log(`Compared with ${FILE} alone: ${history}.`)
  const earlier = typeof history === 'string' ? [] : history
  const problems = [
    ...problemsOf(recorded, await readPresent(root)),
    ...earlier.flatMap((then) => lossesOf(then, recorded)),
  ]
  if (problems.length > 0) throw new Error([...new Set(problems)].join('\n'))
}

/** Adds the migrations that have no checksum yet. @returns their names */
export async function recordMigrations(root = ROOT): Promise<string[]> {
  const recorded = await readRecorded(root)
  const added = [...(await readPresent(root))].filter(([name]) => !recorded.has(name))
  await appendFile(join(root, FILE), added.map(([name, checksum]) => `${checksum}  ${name}\n`).join(''))
  return added.map(([name]) => name)
}

function* problemsOf(recorded: Checksums, present: Checksums): Generator<string> {
  for (const [name, checksum] of present) {
    const landed = recorded.get(name)
    if (landed === undefined) yield `${name} has no checksum: run "npm run prisma:record" once it is as it should be.`
    else if (landed !== checksum) yield `${name} has changed since it landed: put it back, and add another migration.`
  }
  for (const name of recorded.keys()) if (!present.has(name)) yield `${name} has landed and is gone: put it back.`
}

function lossesOf(then: Checksums, now: Checksums): string[] {
  return [...then]
    .filter(([name, checksum]) => now.get(name) !== checksum)
    .map(([name]) => `${FILE} no longer has the line of ${name} as it is on the main branch: put it back.`)
}

async function readPresent(root: string): Promise<Checksums> {
  const entries = await readdir(join(root, FOLDER), { withFileTypes: true })
  const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
  const checksums = names.toSorted().map(async (name) => {
    const sql = await readFile(join(root, FOLDER, name, 'migration.sql'))
    return [name, createHash('sha256').update(sql).digest('hex')] as const
  })
  return new Map(await Promise.all(checksums))
}

async function readRecorded(root: string): Promise<Checksums> {
  return parseChecksums(await readFile(join(root, FILE), 'utf8').catch(() => ''))
}

/** The first of two lines for a migration counts. */
function parseChecksums(text: string): Checksums {
  const lines = text.split('\n').filter((line) => line !== '')
  const pairs = lines.map((line) => line.split('  ') as [string, string])
  return new Map(pairs.toReversed().map(([checksum, name]) => [name, checksum]))
}

/** Every version of the checksums on the main branch, or why there is none. */
async function readHistory(root: string): Promise<Checksums[] | string> {
  // Git's own variables, as in a hook, must not lead to another repository.
  const env = Object.fromEntries(Object.entries(toolEnvironment()).filter(([name]) => !name.startsWith('GIT_')))
  const git = async (...args: string[]) => run('git', args, { cwd: root, env, limit: GIT_LIMIT })
  const firstOf = async ([branch, ...others]: string[]): Promise<string> =>
    git('rev-parse', '--verify', '--quiet', branch as string).catch(async (error) =>
      others.length > 0 ? firstOf(others) : Promise.reject(error as Error),
    )
  try {
    if ((await git('rev-parse', '--show-prefix')).trim() !== '')
      return 'this folder is not the root of a git repository'
    if ((await git('rev-parse', '--is-shallow-repository')).trim() === 'true') return 'this clone of git is shallow'
    const branch = (await firstOf(['refs/remotes/origin/main', 'refs/heads/main', 'HEAD'])).trim()
    const commits = (await git('log', '--first-parent', '--diff-filter=AM', '--format=%H', branch, '--', FILE)).split(
      '\n',
    )
    const versions = commits.filter((commit) => commit !== '').map(async (commit) => git('show', `${commit}:${FILE}`))
    return (await Promise.all(versions)).map(parseChecksums)
  } catch {
    return 'there is no history of git'
  }
}
