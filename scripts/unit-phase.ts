import { join } from 'node:path'
import type { Verdict } from './phases.ts'
import { describeShard, type Shard } from './shards.ts'
import { CACHE, runTool } from './tool.ts'
import { countRun, NO_TOTALS, type Totals } from './totals.ts'

const LIMIT = 20 * 60_000

/** Runs the tests beside the sources, in a process group, so that a stop ends everything they started. */
export async function runUnitTests(filters: string[], shard: Shard, env: Record<string, string>): Promise<Verdict> {
  let totals = NO_TOTALS
  const onMessage = (message: unknown) => (totals = message as Totals)
  try {
    await runTool('node', ['scripts/unit-tests.ts', describeShard(shard), ...filters], {
      // Every test file is a process of its own, and all load the same modules, so the compiled code is cached.
      env: { ...env, NODE_COMPILE_CACHE: join(CACHE, 'compiled') },
      limit: LIMIT,
      onMessage,
    })
  } catch (error) {
    return { totals, problem: error instanceof Error ? error.message : String(error) }
  }
  return { totals, problem: countRun(totals) === 0 ? 'Not one unit test ran.' : null }
}
