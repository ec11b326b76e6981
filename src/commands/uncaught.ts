import type { Logger } from '../logger.ts'

/**
 * Logs an uncaught error and ends the process with 1: its state is unknown, and a worker is replaced. No request may cause
 * this.
 */
export function exitOnUncaught(logger: Logger): void {
  process.on('uncaughtException', (error, origin) => {
    logger.fatal({ error, origin }, 'uncaught error, the process exits')
    process.exit(1)
  })
}
