import { randomUUID } from 'node:crypto'
import { noteRunning, noteStopped, PROCESS_NOTED_EVERY_MS, settleRootSecrets } from '../domain/keys/root-secrets.ts'
import type { Services } from '../domain/services.ts'
import type { Logger } from '../logger.ts'
import { repeat } from './repeat.ts'

export interface ProcessRecord {
  /** To be called when the keys were reloaded: says at once that this process has other ones than before. */
  noteKeys: () => Promise<void>
  end: () => Promise<void>
}

/**
 * Records, for `gatehouse keys` and for operators, that this process runs, which root secrets it has, and which signing keys it has
 * loaded. @throws Refused when a root secret was taken away too early
 */
export async function recordProcess(services: Services, logger: Logger): Promise<ProcessRecord> {
  const process = { id: randomUUID(), signingKeysId: services.keys.id() }
  await settleRootSecrets(services, process)
  const stopNoting = repeat(() => noteRunning(services, process), PROCESS_NOTED_EVERY_MS, logger)
  return {
    async noteKeys() {
      const signingKeysId = services.keys.id()
      if (signingKeysId === process.signingKeysId) return
      await noteRunning(services, { ...process, signingKeysId })
      process.signingKeysId = signingKeysId
    },
    async end() {
      stopNoting()
      await noteStopped(services, process).catch((error: unknown) =>
        logger.warn({ error }, 'the end of this process was not recorded'),
      )
    },
  }
}
