import { parseArgs } from 'node:util'
import { findChromium } from '../src/testing/services/chromium.ts'
import { endWithParent } from '../src/testing/services/shutdown.ts'
import { runBrowserTests } from './browser-phase.ts'
import { checkMigrations } from './migration-checksums.ts'
import { describeOutcomes, runPhases, type Phase } from './phases.ts'
import { readShard, type Shard, WHOLE } from './shards.ts'
import { startServices, type TestServices } from './services.ts'
import { runTool } from './tool.ts'
import { addTotals, describeTotals } from './totals.ts'
import { runUnitTests } from './unit-phase.ts'

const USAGE = `npm test [-- [check | unit | e2e] [path …] [--shard 1/3] [--keep-going]]

  check         types, lint, format, and whether landed migrations are unchanged
  unit [path]   the tests beside the sources: all, or those of a folder or file
  e2e [path]    the browser tests
  --shard 1/3   of the unit or browser tests, the first third: for several machines
  --keep-going  run the later phases even when one fails`

const OLDEST_NODE = 24
const PARTS = ['check', 'unit', 'e2e'] as const
type Part = (typeof PARTS)[number]

interface Request {
  parts: readonly Part[]
  filters: string[]
  shard: Shard
  keepGoing: boolean
}

process.exitCode = await main(process.argv.slice(2))

async function main(args: string[]): Promise<number> {
  if (Number.parseInt(process.versions.node, 10) < OLDEST_NODE) {
    console.error(`The tests need Node ${OLDEST_NODE} or newer, and this is ${process.version}.`)
    return 1
  }
  const request = readRequest(args)
  if (request === null) {
    console.error(USAGE)
    return 1
  }

  if (process.env['npm_lifecycle_event'] !== undefined) endWithParent()
  const running: TestServices[] = []
  const outcomes = await runPhases(phasesOf(request, running), request.keepGoing)
  for (const services of running) await services.stop()

  console.log(`\n${describeOutcomes(outcomes)}\n`)
  console.log(describeTotals(addTotals(outcomes.flatMap(({ totals }) => totals ?? []))))
  return outcomes.every((outcome) => outcome.state === 'passed') ? 0 : 1
}

function readRequest(args: string[]): Request | null {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: { 'keep-going': { type: 'boolean', default: false }, shard: { type: 'string' } },
    })
    const [name, ...filters] = positionals
    const keepGoing = values['keep-going']
    const shard = values.shard === undefined ? WHOLE : readShard(values.shard)
    if (name === undefined) return { parts: PARTS, filters, shard, keepGoing }

    const part = PARTS.find((known) => known === name)
    return part === undefined ? null : { parts: [part], filters, shard, keepGoing }
  } catch {
    return null
  }
}

/** At once, because the formatter uses one core. @throws Error of the first that does not pass, once all have ended. */
async function checkSources(): Promise<void> {
  const checks = await Promise.allSettled([
    runTool('tsc', ['--noEmit']),
    runTool('oxlint', ['--type-aware', '--deny-warnings']),
    runTool('prettier', ['--check', '.']),
  ])
  for (const check of checks) if (check.status === 'rejected') throw check.reason
}

function phasesOf({ parts, filters, shard }: Request, running: TestServices[]): Phase[] {
  const environment = () => {
    if (running[0] === undefined) throw new Error('PostgreSQL and Redis are not running.')
    return running[0].environment
  }
  const client: Phase = { name: 'Prisma client', run: () => runTool('node', ['scripts/prisma-client.ts']) }
  const checks: Phase[] = [
    { name: 'types, lint and format', run: checkSources },
    { name: 'landed migrations are unchanged', run: checkMigrations },
  ]
  const services: Phase = {
    name: 'PostgreSQL and Redis',
    run: async () => void running.push(await startServices()),
  }
  const unit: Phase = {
    name: 'unit and integration tests',
    run: () => runUnitTests(filters, shard, environment()),
  }
  const browser: Phase = {
    name: 'browser tests',
    run: async () => {
      const chromium = await findChromium()
      console.log(chromium)
      return runBrowserTests(filters, shard, { ...environment(), CHROMIUM_PATH: chromium })
    },
  }
  return [
    client,
    ...(parts.includes('check') ? checks : []),
    ...(parts.includes('unit') || parts.includes('e2e') ? [services] : []),
    ...(parts.includes('unit') ? [unit] : []),
    ...(parts.includes('e2e') ? [browser] : []),
  ]
}
