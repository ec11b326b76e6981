import type { Command } from 'commander'
import { closeServices, openServices } from '../main/services.ts'
import { stopTracing } from '../main/tracing.ts'
import type { Background } from '../main/background.ts'
import { reloadKeys } from '../domain/keys/reloaded-keys.ts'
import { writeCounts } from '../domain/statistics.ts'
import { type ProcessRecord, recordProcess } from '../main/process-record.ts'
import { KEYS_EVERY_MS, repeat, TALLY_EVERY_MS } from '../main/repeat.ts'
import type { Config } from '../config.ts'
import { createLogger, type Logger } from '../logger.ts'
import { sayLocal } from './remote-settings.ts'
import { stopSignal } from './stop-signal.ts'
import { readStartedConfig } from './started-portal.ts'
import { exitOnUncaught } from './uncaught.ts'
import { warnOfUnknownSettings } from './unknown-settings.ts'

export function addWorkerCommand(program: Command): void {
  program
    .command('worker')
    .description(
      'Run the periodic jobs and send queued mails and notifications, beside portals with IN_PROCESS_WORKER=false.',
    )
    .action(async () => {
      sayLocal('worker')
      const config = await readStartedConfig()
      const logger = createLogger(config.logLevel)
      exitOnUncaught(logger)
      warnOfUnknownSettings(logger)
      await work(config, logger, stopSignal())
      await stopTracing()
      process.exit(0)
    })
}

async function work(config: Config, logger: Logger, stopping: Promise<void>): Promise<void> {
  // Loaded lazily, because every command imports this file.
  const [{ startBackground }, { startMetricsServer }] = await Promise.all([
    import('../main/background.ts'),
    import('../main/metrics-server.ts'),
  ])
  const services = await openServices(config, logger)
  let record: ProcessRecord | null = null
  const followKeys = async () => {
    await reloadKeys(services)
    await record?.noteKeys()
  }
  const stopFollowing = repeat(followKeys, KEYS_EVERY_MS, logger)
  const stopCounting = repeat(() => writeCounts(services), TALLY_EVERY_MS, logger)
  let background: Background | null = null
  let closeMetrics = () => {}
  try {
    record = await recordProcess(services, logger)
    await followKeys()
    closeMetrics = await startMetricsServer(services, config, logger)
    background = await startBackground(services, config, logger)
    process.stdout.write('Gatehouse sends what is queued\n')
    await stopping
    logger.info('stopping')
  } finally {
    stopFollowing()
    stopCounting()
    background?.stop()
    closeMetrics()
    await record?.end()
    await closeServices(services)
    background?.release()
  }
}
