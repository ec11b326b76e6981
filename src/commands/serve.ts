import { once } from 'node:events'
import type { Command } from 'commander'
import { readConfig } from '../config.ts'
import { createLogger } from '../logger.ts'
import { startServer } from '../server.ts'

export function addServeCommand(program: Command): void {
  program
    .command('serve')
    .description('Run the portal.')
    .action(async () => {
      const config = readConfig()
      const logger = createLogger(config.logLevel)
      // Listened for before anything starts, so a signal during a slow start stops it cleanly too.
      const stopping = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')])
      const server = await startServer(config, logger)

      process.stdout.write(`Gatehouse is ready at ${config.publicUrl}\n`)
      process.stdout.write(`Apps discover it at ${config.publicUrl}/.well-known/openid-configuration\n`)
      await stopping
      // A second signal must not cut short what the first one began.
      process.on('SIGTERM', () => {}).on('SIGINT', () => {})
      logger.info('stopping')
      await server.stop()
      process.exit(0)
    })
}
