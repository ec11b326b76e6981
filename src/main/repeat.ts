import type { Logger } from '../logger.ts'

/** How often signing keys are read again (ms): for as long a key that was revoked may still be believed somewhere. */
export const KEYS_EVERY_MS = 1000

/** Runs this again and again, whether or not it fails. @returns what stops it */
export function repeat(run: () => Promise<unknown>, everyMs: number, logger: Logger): () => void {
  let isRunning = false
  const runAlone = async () => {
    // A database that is slow today is not asked by two rounds at once.
    if (isRunning) return
    isRunning = true
    try {
      await run()
    } catch (error) {
      logger.warn({ error }, 'background work failed; it will be tried again')
    } finally {
      isRunning = false
    }
  }
  const timer = setInterval(() => void runAlone(), everyMs).unref()
  return () => clearInterval(timer)
}
