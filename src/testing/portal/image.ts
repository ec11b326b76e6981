import { cp, mkdir, readFile, rm } from 'node:fs/promises'
import { join, matchesGlob, relative } from 'node:path'
import { run } from '../services/command.ts'

const ROOT = join(import.meta.dirname, '../../..')
const COPY_LIMIT = 120_000

/**
 * Puts the files of the container image into a folder, without Docker: what the last stage of the Dockerfile copies, and the packages
 * that `npm ci --omit=dev --omit=optional` installs. Needs GNU cp. @throws Error for a line of the Dockerfile that it cannot follow
 */
export async function unpackImage(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  const isIgnored = await readIgnored()
  for (const { sources, target, isBuilt } of await readCopies()) {
    for (const source of sources) {
      const to = join(folder, target === './' ? source : target)
      // What an earlier stage has built is ignored where it comes from the checkout.
      const filter = (file: string) => isBuilt || !isIgnored(relative(ROOT, file))
      if (source === 'node_modules') await copyPackages(folder)
      else await cp(join(ROOT, source), to, { recursive: true, filter })
    }
  }
}

interface Copy {
  /** In the checkout. */
  sources: string[]
  target: string
  isBuilt: boolean
}

async function readCopies(): Promise<Copy[]> {
  const lines = (await readFile(join(ROOT, 'Dockerfile'), 'utf8')).split('\n')
  const lastStage = lines.slice(lines.findLastIndex((line) => line.startsWith('FROM ')))
  return lastStage
    .filter((line) => line.startsWith('COPY '))
    .map((line) => {
      const words = line.split(' ').slice(1)
      const isBuilt = words[0] === '--from=packages'
      const paths = isBuilt ? words.slice(1).map((path) => path.replace(/^\/gatehouse\//, '')) : words
      if (paths.length < 2 || paths.some((path) => path.startsWith('-') || path.startsWith('/')))
        throw new Error(`cannot follow the Dockerfile: ${line}`)
      return { sources: paths.slice(0, -1), target: paths.at(-1) as string, isBuilt }
    })
}

async function readIgnored(): Promise<(path: string) => boolean> {
  const patterns = (await readFile(join(ROOT, '.dockerignore'), 'utf8')).trim().split('\n')
  return (path) => patterns.some((pattern) => matchesGlob(path, pattern))
}

interface LockedPackage {
  dev?: boolean
  optional?: boolean
  devOptional?: boolean
}

/** As hard links, which take no space and little time, where the folder is on the same file system. */
async function copyPackages(folder: string): Promise<void> {
  const lock = JSON.parse(await readFile(join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, LockedPackage>
  }
  const paths = Object.keys(lock.packages).filter((path) => path !== '')
  const isOmitted = (path: string) => {
    const { dev, optional, devOptional } = lock.packages[path] as LockedPackage
    return Boolean(dev ?? optional ?? devOptional)
  }
  const isNested = (path: string) => path.lastIndexOf('node_modules/') > 0
  const kept = paths.filter((path) => !isNested(path) && !isOmitted(path))
  const copy = (...flags: string[]) =>
    run('cp', [...flags, '--archive', '--parents', ...kept, folder], { cwd: ROOT, limit: COPY_LIMIT })
  await copy('--link').catch(() => copy())
  for (const path of paths.filter((each) => isNested(each) && isOmitted(each)))
    await rm(join(folder, path), { recursive: true, force: true })
}
