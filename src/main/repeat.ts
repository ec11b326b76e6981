import type { Logger } from '../logger.ts'

/** How often signing keys are reloaded (ms): a revoked key is accepted for at most this long. */
export const KEYS_EVERY_MS = 1000

/** How often a process writes what it has counted (ms): one that is killed loses the counts of this time. */
export const TALLY_EVERY_MS = 10_000

/** Runs this periodically, also after a failure. @returns stops it */
export function repeat(run: () => Promise<unknown>, everyMs: number, logger: Logger): () => void {
  let isRunning = false
  const runAlone = async () => {
    // Rounds never overlap: a slow database is not asked by two at once.
    if (isRunning) return
    isRunning = true
    try {
      await run()
    } catch (error) {
      logger.warn({ error }, 'a periodic job failed; it will be tried again')
    } finally {
      isRunning = false
    }
  }
  const timer = setInterval(() => void runAlone(), everyMs).unref()
  return () => clearInterval(timer)
}
