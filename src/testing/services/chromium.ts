import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { chromium } from '@playwright/test'
import { installPackages } from './apt.ts'
import { run } from './command.ts'
import { findProgram, thisMachine, type Machine } from './machine.ts'
import { firstThatWorks } from './ways.ts'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'Google Chrome', 'Chromium']
const VERSION_LIMIT = 30_000
const DOWNLOAD_LIMIT = 60_000

/**
 * The path of a Chromium that runs here.
 * @throws Error that says everything that was tried.
 */
export async function findChromium(
  machine: Machine = thisMachine,
  playwrightsOwn = chromium.executablePath(),
): Promise<string> {
  const given = machine.env['CHROMIUM_PATH']
  if (given) return useGiven(given)

  return firstThatWorks('Chromium', 'Install it, or set CHROMIUM_PATH.', [
    { name: 'installed browser', take: () => findInstalled(machine) },
    { name: "Playwright's own", take: () => findPlaywrights(machine, playwrightsOwn) },
    { name: 'apt-get', take: () => installAndFind(machine) },
  ])
}

async function useGiven(path: string): Promise<string> {
  return running(path).catch((error: Error) => {
    throw new Error(`The browser of CHROMIUM_PATH cannot be used: ${error.message}`, { cause: error })
  })
}

async function findInstalled(machine: Machine): Promise<string> {
  const path = findProgram(machine, ...NAMES)
  if (path === null) throw new Error('there is no Chromium or Chrome in PATH or the usual places')
  return running(path)
}

async function findPlaywrights(machine: Machine, path: string): Promise<string> {
  if (!existsSync(path)) {
    machine.say('downloading Chromium with Playwright …')
    const playwright = fileURLToPath(import.meta.resolve('@playwright/test/cli'))
    await run(process.execPath, [playwright, 'install', 'chromium'], { limit: DOWNLOAD_LIMIT, env: machine.env })
  }
  return running(path)
}

async function installAndFind(machine: Machine): Promise<string> {
  await installPackages(machine, 'chromium')
  return findInstalled(machine)
}

// A file with the right name may still be a stub for a snap, or lack its libraries.
async function running(path: string): Promise<string> {
  await run(path, ['--version'], { limit: VERSION_LIMIT })
  return path
}
