import { say } from '../output.ts'
import { measureRound, type Round, warmUp } from '../rounds.ts'
import type { GrownPortal } from './grown-portal.ts'
import type { GrowthPace } from './pace.ts'

/** In the order they were measured in; those of one place belong together. */
export interface ComparedRounds {
  small: Round[]
  large: Round[]
}

/** The two take turns, also in going first, so that other load on the machine affects both alike. */
export async function comparePortals(
  small: GrownPortal,
  large: GrownPortal,
  databasePid: number | null,
  { rounds, seconds, warmUpSeconds }: GrowthPace,
): Promise<ComparedRounds> {
  const compared: ComparedRounds = { small: [], large: [] }
  const turns = [
    { portal: small, results: compared.small },
    { portal: large, results: compared.large },
  ]
  for (const { portal } of turns) await warmUp(portal, portal.crowd, warmUpSeconds)
  for (let round = 0; round < rounds; round++) {
    for (const { portal, results } of round % 2 === 0 ? turns : turns.toReversed()) {
      const measured = await measureRound(portal, portal.crowd, databasePid, seconds)
      results.push(measured)
      say(`${portal.families} families: ${Math.round(measured.rps)}/s`)
      if (measured.firstError !== null) say(`  ${measured.firstError}`)
    }
  }
  return compared
}
