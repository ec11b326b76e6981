import { randomUUID } from 'node:crypto'
import { noteRunning, noteStopped, PROCESS_NOTED_EVERY_MS, settleRootSecrets } from '../domain/keys/root-secrets.ts'
import type { Services } from '../domain/services.ts'
import type { Logger } from '../logger.ts'
import { repeat } from './repeat.ts'

/**
 * Records, for `gatehouse keys rewrap` and for operators, that this process runs and which root secrets it has. @returns ends the
 * record @throws Refused when a root secret was taken away too early
 */
export async function recordProcess(services: Services, logger: Logger): Promise<() => Promise<void>> {
  const id = randomUUID()
  await settleRootSecrets(services, id)
  const stopNoting = repeat(() => noteRunning(services, id), PROCESS_NOTED_EVERY_MS, logger)
  return async () => {
    stopNoting()
    await noteStopped(services, id).catch((error: unknown) =>
      logger.warn({ error }, 'the end of this process was not recorded'),
    )
  }
}
