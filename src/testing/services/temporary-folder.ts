import { access, chmod, constants, mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stopBeforeExit } from './shutdown.ts'

export interface TemporaryFolder {
  path: string
  remove: () => Promise<void>
}

/** A new folder that every user of the machine can enter; it is deleted with this process at the latest. */
export async function makeTemporaryFolder(name: string): Promise<TemporaryFolder> {
  const path = await mkdtemp(join(await openFolder(), `gatehouse-${name}-`))
  await chmod(path, 0o755)
  const remove = stopBeforeExit(() => rm(path, { recursive: true, force: true, maxRetries: 5 }))
  return { path, remove }
}

// A private TMPDIR would lock out the unprivileged user that a database needs under root.
async function openFolder(): Promise<string> {
  const usual = tmpdir()
  const { mode } = await stat(usual)
  if ((mode & constants.S_IXOTH) !== 0) return usual

  const shared = '/tmp'
  await access(shared, constants.W_OK)
  return shared
}
