import type { Check } from './check.ts'
import { type Probe } from './probe.ts'
import { knownUser, unknownId } from './user-checks.ts'

const SAMPLES = 5
/** An unknown user may be this much quicker: less is lost in the noise of a network. */
const RATIO = 0.5

/** A hint, because a machine that is busy makes it fail. The portal itself waits as long for unknown users. */
export const TIMING: Check = {
  code: 'timing',
  title: 'an unknown id takes as long as a wrong password',
  change:
    'Compare the password with some hash where there is no such user, so that the time does not tell who has an account.',
  run: async (probe) => {
    const { id } = await knownUser(probe)
    await medianOf(probe, () => id, 1)
    const wrong = await medianOf(probe, () => id)
    const unknown = await medianOf(probe, unknownId)
    if (unknown >= wrong * RATIO) return null
    return `an unknown id took ${Math.round(unknown)} ms, a wrong password ${Math.round(wrong)} ms`
  },
}

async function medianOf(probe: Probe, idOf: () => string, samples = SAMPLES): Promise<number> {
  const durations: number[] = []
  for (let count = 0; count < samples; count++) {
    const { duration } = await probe.receive('verifyPassword', { id: idOf(), password: 'not the password of anyone' })
    durations.push(duration)
  }
  return durations.toSorted((a, b) => a - b)[Math.floor(samples / 2)] ?? 0
}
