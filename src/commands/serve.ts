import cluster from 'node:cluster'
import type { Command } from 'commander'
import { type Config, readConfig } from '../config.ts'
import { createLogger, type Logger } from '../logger.ts'
import { sayLocal } from './remote-settings.ts'
import { stopSignal } from './stop-signal.ts'
import { exitOnUncaught } from './uncaught.ts'
import { warnOfUnknownSettings } from './unknown-settings.ts'
import { holdYoungGeneration } from './young-generation.ts'
import { stopTracing } from '../main/tracing.ts'
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
      } else if (config.workers === 1) await serve(config, logger, stopSignal(), () => sayReady(config, logger))
      else await superviseWorkers(config, logger, stopSignal())
      await stopTracing()
      process.exit(0)
    })
}

async function serve(config: Config, logger: Logger, stopping: Promise<void>, onReady = async () => {}): Promise<void> {
  // The primary process of workers answers no request, so its young generation may stay small.
  const letGrow = holdYoungGeneration()
  const { startServer } = await import('../main/server.ts')
  const server = await startServer(config, logger)
  letGrow()
  await onReady()
  await stopping
  logger.info('stopping')
  await server.stop()
}

async function superviseWorkers(config: Config, logger: Logger, stopping: Promise<void>): Promise<void> {
  const workers = new Workers(logger)
  const started = workers.start(config.workers)
  const serving = async () => {
    await started
    await sayReady(config, logger)
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

async function sayReady(config: Config, logger: Logger): Promise<void> {
  const { publicUrl } = config
  process.stdout.write(`Gatehouse is ready at ${publicUrl}\n`)
  process.stdout.write(`Apps discover it at ${publicUrl}/.well-known/openid-configuration\n`)
  // Elsewhere the output is a log, and a link that makes an administrator must not be in one.
  if (!process.stdout.isTTY) return
  const link = await findFirstAdministratorLink(config).catch((error: unknown) => {
    logger.warn({ error }, 'there is no link for the first administrator')
    return null
  })
  if (link !== null)
    process.stdout.write(`There is no administrator yet. Create that account here, once, within a day:\n  ${link}\n`)
}

async function findFirstAdministratorLink(config: Config): Promise<string | null> {
  const { closeServices, openServices } = await import('../main/services.ts')
  const { firstAdministratorLink } = await import('../domain/accounts/first-administrator.ts')
  const services = await openServices(config, createLogger('silent'))
  try {
    return await firstAdministratorLink(services)
  } finally {
    await closeServices(services)
  }
}
