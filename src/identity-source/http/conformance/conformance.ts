import { ANSWER_CHECKS, FIRST_CHECKS } from './answer-checks.ts'
import { CHANGE_CHECKS } from './change-checks.ts'
import type { Check, Result } from './check.ts'
import { NotAsAgreed, type Probe, Unjudged } from './probe.ts'
import { REQUEST_CHECKS } from './request-checks.ts'
import { SIGNATURE_CHECKS } from './signature-checks.ts'
import { TIMING } from './timing.ts'
import { USER_CHECKS } from './user-checks.ts'

/** In the order in which they run: the last are about all answers before them. */
const CHECKS: Check[] = [
  ...FIRST_CHECKS,
  ...SIGNATURE_CHECKS,
  ...REQUEST_CHECKS,
  ...USER_CHECKS,
  TIMING,
  ...CHANGE_CHECKS,
  ...ANSWER_CHECKS,
]

/** Runs every check, one after the other. Each fault of a source fails the check that is about it, and as few others as can be. */
export async function checkSource(probe: Probe): Promise<Result[]> {
  const results: Result[] = []
  for (const [index, check] of CHECKS.entries()) results.push({ number: index + 1, ...(await resultOf(check, probe)) })
  return results
}

async function resultOf({ code, title, change, operation, run }: Check, probe: Probe): Promise<Omit<Result, 'number'>> {
  try {
    const found = await run(probe)
    if (found === null) return { code, title, result: 'pass', found, change: null }
    return { code, title, result: code === TIMING.code ? 'hint' : 'fail', found, change }
  } catch (error) {
    if (error instanceof Unjudged) return { code, title, result: 'skipped', found: error.message, change: null }
    if (error instanceof NotAsAgreed && error.operation !== operation)
      return { code, title, result: 'skipped', found: error.message, change: null }
    if (error instanceof NotAsAgreed) return { code, title, result: 'fail', found: error.message, change }
    throw error
  }
}
