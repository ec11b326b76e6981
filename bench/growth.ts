import { pinCores } from './cores.ts'
import { comparePortals } from './growth/comparison.ts'
import { type GrownPortal, startGrownPortal } from './growth/grown-portal.ts'
import { growthPaceOf } from './growth/pace.ts'
import { measurePruning } from './growth/pruning.ts'
import { describeGrowth, resultOf } from './growth/report.ts'
import { rotateMany } from './growth/rotations.ts'
import { describeMachine } from './machine.ts'
import type { Options } from './options.ts'
import { publish } from './output.ts'
import { withStores } from './stores.ts'
import { install, stopAll } from './subjects/installation.ts'

/** The cost of a portal that has been used a lot. @returns the exit code */
export async function runGrowth(options: Options): Promise<number> {
  const cores = pinCores(options.cores ?? 'pin')
  const pace = growthPaceOf(options)
  return withStores(false, async ({ postgres, server }) => {
    const installGrown = async (families: number) =>
      install((settings) => startGrownPortal(families, settings), postgres.url, {
        redisUrl: null,
        prefix: cores.prefix,
        profileFolder: null,
        env: {},
      })
    const running: GrownPortal[] = []
    try {
      // One after the other, the large one first: the small one leaves little to be written in the background.
      const large = await installGrown(pace.families)
      running.push(large)
      const small = await installGrown(pace.smallFamilies)
      running.push(small)
      const rounds = await comparePortals(small, large, server.pid, pace)
      // The rest is about the small one, without the large one's background work.
      await running.shift()?.stop()

      const wear = await rotateMany(small, pace.rotations)
      const pruning = await measurePruning(small, pace)
      const result = resultOf({ small: small.families, large: large.families, rounds, wear, pruning })
      const machine = describeMachine(server.words, null, cores.words)
      publish(options, { machine, pace, ...result }, () => describeGrowth(machine, result, pace))
      const slices = [result.small, result.large, result.pruning.before, result.pruning.during]
      return slices.some(({ errors }) => errors > 0) ? 1 : 0
    } finally {
      await stopAll(running)
    }
  })
}
