import type { Logger } from '../logger.ts'
import { findMisspelt } from '../settings/misspelt.ts'

/** Warns of environment variables that look like a misspelt setting: they have no effect. */
export function warnOfUnknownSettings(logger: Logger): void {
  for (const [given, meant] of findMisspelt())
    logger.warn({ given, meant }, `the setting ${given} is not known and has no effect; did you mean ${meant}?`)
}
