import { join } from 'node:path'
import { installPackages } from './apt.ts'
import { run } from './command.ts'
import { findProgram, thisMachine, type Machine } from './machine.ts'
import { makeTemporaryFolder } from './temporary-folder.ts'
import { firstThatWorks } from './ways.ts'

const LIMIT = 90_000

export interface Python {
  program: string
  remove: () => Promise<void>
}

/**
 * A virtual environment with these packages, in a folder of its own.
 * @param requirements as pip has them, such as `requests==2.34.2`
 * @throws Error that says why this machine cannot have it.
 */
export async function createPython(requirements: string[], machine: Machine = thisMachine): Promise<Python> {
  const folder = await makeTemporaryFolder('python')
  const program = join(folder.path, 'bin', 'python')
  const create = async () => {
    const python = findProgram(machine, 'python3')
    if (python === null) throw new Error('there is no python3 in PATH or the usual places')
    await run(python, ['-m', 'venv', '--clear', folder.path], { limit: LIMIT })
  }
  try {
    await firstThatWorks('Python', 'Install Python 3 with its venv module.', [
      { name: 'installed python3', take: create },
      { name: 'apt-get', take: () => installPackages(machine, 'python3', 'python3-venv').then(create) },
    ])
    const quick = ['--quiet', '--disable-pip-version-check', '--no-compile', '--only-binary', ':all:']
    await run(program, ['-m', 'pip', 'install', ...quick, ...requirements], { limit: LIMIT })
    return { program, remove: folder.remove }
  } catch (error) {
    await folder.remove()
    throw error
  }
}
