import { preparePrismaClient } from '../src/storage/prisma-client.ts'
import { endWithParent } from '../src/testing/services/shutdown.ts'
import { runAdministration } from './administration.ts'
import { runEndpoints } from './endpoints.ts'
import { runEnumeration } from './enumeration.ts'
import { runGrowth } from './growth.ts'
import { runImports } from './imports.ts'
import { runLifetimes } from './lifetimes.ts'
import { type Options, readOptions, USAGE } from './options.ts'
import { runPages } from './pages.ts'
import { runRevocation } from './revocation.ts'
import { runSiege } from './siege.ts'
import { runSource } from './source.ts'
import { runStalls } from './stalls.ts'
import { runStart } from './start.ts'
import { runWorkers } from './workers.ts'

/** The parts of the benchmark; each prints its own results and returns the exit code. */
const PARTS: Record<string, (options: Options) => Promise<number>> = {
  endpoints: runEndpoints,
  siege: runSiege,
  source: runSource,
  workers: runWorkers,
  start: runStart,
  growth: runGrowth,
  enumeration: runEnumeration,
  revocation: runRevocation,
  lifetimes: runLifetimes,
  stalls: runStalls,
  pages: runPages,
  administration: runAdministration,
  imports: runImports,
}

process.exitCode = await main(process.argv.slice(2))

async function main(args: string[]): Promise<number> {
  const options = read(args)
  if (options === null) return 1

  if (process.env['npm_lifecycle_event'] !== undefined) endWithParent()
  if (!preparePrismaClient()) return 1
  let exitCode = 0
  for (const name of options.parts.length === 0 ? ['endpoints'] : options.parts) {
    const run = PARTS[name]
    if (run === undefined) return refuse(`There is no part ${name}; there is ${Object.keys(PARTS).join(', ')}.`)
    try {
      exitCode = Math.max(exitCode, await run(options))
    } catch (error) {
      console.error(error instanceof Error ? error.message : error)
      return 1
    }
  }
  return exitCode
}

function read(args: string[]): Options | null {
  try {
    return readOptions(args)
  } catch (error) {
    refuse(error instanceof Error ? error.message : String(error))
    return null
  }
}

function refuse(words: string): 1 {
  console.error(`${words}\n\n${USAGE}`)
  return 1
}
