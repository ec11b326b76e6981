import { accessSync, constants, globSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** The parts of the machine that the bring-up may use. A test passes a poorer one. */
export interface Machine {
  env: NodeJS.ProcessEnv
  /** Where programs may be; a `*` matches any version, the newest first. */
  programFolders: string[]
  isRoot: boolean
  /** Debian asks this file whether a newly installed service may start. */
  servicePolicy: string
  say: (line: string) => void
}

const BESIDES_PATH = [
  '/usr/lib/postgresql/*/bin',
  '/usr/pgsql-*/bin',
  '/usr/libexec/postgresql*',
  '/opt/homebrew/bin',
  '/opt/homebrew/opt/postgresql@*/bin',
  '/usr/local/bin',
  '/usr/local/opt/postgresql@*/bin',
  '/Applications/Google Chrome.app/Contents/MacOS',
  '/Applications/Chromium.app/Contents/MacOS',
]

export const thisMachine: Machine = {
  env: process.env,
  programFolders: [...(process.env['PATH'] ?? '').split(delimiter).filter(Boolean), ...BESIDES_PATH],
  isRoot: process.getuid?.() === 0,
  servicePolicy: '/usr/sbin/policy-rc.d',
  say: (line) => console.log(line),
}

/** The first of these programs that is installed, as a path. The folders are read again: a package may have been installed. */
export function findProgram(machine: Machine, ...names: string[]): string | null {
  const paths = names.flatMap((name) => expand(machine.programFolders).map((folder) => join(folder, name)))
  return paths.find(isExecutable) ?? null
}

/** The first folder that holds all of these programs. */
export function findFolderOf(machine: Machine, ...names: string[]): string | null {
  const holdsAll = (folder: string) => names.every((name) => isExecutable(join(folder, name)))
  return expand(machine.programFolders).find(holdsAll) ?? null
}

function expand(folders: string[]): string[] {
  return folders.flatMap((folder) => (folder.includes('*') ? globSync(folder).toSorted(newestFirst) : [folder]))
}

function newestFirst(one: string, other: string): number {
  return other.localeCompare(one, 'en', { numeric: true })
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
