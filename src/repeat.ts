import type { Logger } from './logger.ts'

/** How often signing keys are read again (ms); new ones are published for much longer before they sign. */
export const KEYS_EVERY_MS = 15_000

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
