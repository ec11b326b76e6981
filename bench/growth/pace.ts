import type { Options } from '../options.ts'

/** The sizes, and how long each part is measured. */
export interface GrowthPace {
  smallFamilies: number
  /** Of the large table. */
  families: number
  seconds: number
  rounds: number
  warmUpSeconds: number
  rotations: number
  /** Long-ended families that pruning has to delete. */
  backlog: number
  /** The slices before pruning; beside it there are as many as it lasts. */
  pruningSeconds: number
  slicesBefore: number
  /** The harness prunes, instead of waiting for the portal's next minute. */
  prunesHere: boolean
}

const FULL: GrowthPace = {
  smallFamilies: 10_000,
  families: 5_000_000,
  seconds: 8,
  rounds: 6,
  warmUpSeconds: 3,
  rotations: 1_000_000,
  backlog: 200_000,
  pruningSeconds: 2,
  slicesBefore: 8,
  prunesHere: false,
}

const QUICK: GrowthPace = {
  smallFamilies: 10_000,
  families: 200_000,
  seconds: 2,
  rounds: 2,
  warmUpSeconds: 2,
  rotations: 20_000,
  backlog: 20_000,
  pruningSeconds: 0.5,
  slicesBefore: 8,
  prunesHere: true,
}

export function growthPaceOf({ quick, seconds, rounds, families, rotations }: Options): GrowthPace {
  const preset = quick ? QUICK : FULL
  return {
    ...preset,
    families: families ?? preset.families,
    seconds: seconds ?? preset.seconds,
    rounds: rounds ?? preset.rounds,
    rotations: rotations ?? preset.rotations,
  }
}
