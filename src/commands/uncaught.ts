import type { Logger } from '../logger.ts'

/**
 * Writes what nothing caught into the log, and ends the process with 1: its state is unknown, and a worker is replaced.
 * Nothing that a client sends may come here.
 */
export function exitOnUncaught(logger: Logger): void {
  process.on('uncaughtException', (error, origin) => {
    logger.fatal({ error, origin }, 'the process ends, because nothing caught this error')
    process.exit(1)
  })
}
