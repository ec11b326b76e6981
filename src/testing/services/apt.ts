import { rm, writeFile } from 'node:fs/promises'
import { run } from './command.ts'
import { findProgram, type Machine } from './machine.ts'

const UPDATE_LIMIT = 3 * 60_000
const INSTALL_LIMIT = 10 * 60_000
const OPTIONS = ['-qq', '-o', 'Acquire::Retries=3', '-o', 'DPkg::Lock::Timeout=300', '-o', 'Dpkg::Use-Pty=0']

const updates = new WeakMap<Machine, Promise<unknown>>()

/** Installs Debian packages without starting their services: the tests start their own. */
export async function installPackages(machine: Machine, ...packages: string[]): Promise<void> {
  const aptGet = findProgram(machine, 'apt-get')
  if (aptGet === null) throw new Error('apt-get is not on this machine')
  if (!machine.isRoot) throw new Error('installing packages needs root')

  machine.say(`installing ${packages.join(' ')} with apt-get …`)
  await updateOnce(machine, aptGet)
  await withoutServiceStart(machine, () =>
    apt(machine, aptGet, ['install', '-y', '--no-install-recommends', ...packages], INSTALL_LIMIT),
  )
}

function updateOnce(machine: Machine, aptGet: string): Promise<unknown> {
  const update = updates.get(machine) ?? apt(machine, aptGet, ['update'], UPDATE_LIMIT)
  updates.set(machine, update)
  return update
}

function apt(machine: Machine, aptGet: string, args: string[], limit: number): Promise<string> {
  const env = { ...machine.env, DEBIAN_FRONTEND: 'noninteractive' }
  return run(aptGet, [...OPTIONS, ...args], { env, limit, mustFinish: true })
}

// Exit code 101 means "no service may start". An existing policy is left alone.
async function withoutServiceStart(machine: Machine, install: () => Promise<unknown>): Promise<void> {
  const isOurs = await writeFile(machine.servicePolicy, '#!/bin/sh\nexit 101\n', { mode: 0o755, flag: 'wx' }).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') return false
      throw error
    },
  )
  try {
    await install()
  } finally {
    if (isOurs) await rm(machine.servicePolicy, { force: true })
  }
}
