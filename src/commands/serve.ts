import cluster from 'node:cluster'
import type { Command } from 'commander'
import { type Config, readConfig } from '../config.ts'
import { createLogger, type Logger } from '../logger.ts'
import { sayLocal } from './remote-settings.ts'
import { stopSignal } from './stop-signal.ts'
import { exitOnUncaught } from './uncaught.ts'
import { warnOfUnknownSettings } from './unknown-settings.ts'
import { holdYoungGeneration } from './young-generation.ts'
import { leaveAsWorker, stopOfWorker, Workers } from '../main/workers.ts'

export function addServeCommand(program: Command): void {
  program
    .command('serve')
    .description('Run the portal.')
    .action(async () => {
      if (!cluster.isWorker) sayLocal('serve')
      const config = readConfig()
      const logger = cluster.isWorker
        ? createLogger(config.logLevel).child({ pid: process.pid })
        : createLogger(config.logLevel)
      exitOnUncaught(logger)
      if (!cluster.isWorker) warnOfUnknownSettings(logger)
      // Registered before anything starts, so that a signal during a slow start stops the process cleanly too.
      if (cluster.isWorker) {
        await serve(config, logger, stopOfWorker())
        await leaveAsWorker()
      } else if (config.workers === 1) await serve(config, logger, stopSignal(), () => sayReady(config))
      else await superviseWorkers(config, logger, stopSignal())
      process.exit(0)
    })
}

async function serve(config: Config, logger: Logger, stopping: Promise<void>, onReady = () => {}): Promise<void> {
  // The primary process of workers answers no request, so its young generation may stay small.
  const letGrow = holdYoungGeneration()
  const { startServer } = await import('../main/server.ts')
  const server = await startServer(config, logger)
  letGrow()
  onReady()
  await stopping
  logger.info('stopping')
  await server.stop()
}

async function superviseWorkers(config: Config, logger: Logger, stopping: Promise<void>): Promise<void> {
  const workers = new Workers(logger)
  const started = workers.start(config.workers)
  const serving = async () => {
    await started
    sayReady(config)
    await stopping
  }
  // Restarts never overlap, and none begins before the start is complete.
  let restarted = started.catch(() => {})
  process.on('SIGHUP', () => {
    restarted = restarted.then(async () => workers.restart())
  })
  await Promise.race([serving(), stopping])
  logger.info('stopping')
  await workers.stop()
}

function sayReady({ publicUrl }: Config): void {
  process.stdout.write(`Gatehouse is ready at ${publicUrl}\n`)
  process.stdout.write(`Apps discover it at ${publicUrl}/.well-known/openid-configuration\n`)
}
