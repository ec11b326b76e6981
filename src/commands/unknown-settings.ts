import { findMisspelt } from '../config.ts'
import type { Logger } from '../logger.ts'

/** Names what looks like a setting with a spelling mistake: it is ignored, and its value is not what the portal goes by. */
export function warnOfUnknownSettings(logger: Logger): void {
  for (const [given, meant] of findMisspelt())
    logger.warn({ given, meant }, `the setting ${given} is not known and has no effect; did you mean ${meant}?`)
}
