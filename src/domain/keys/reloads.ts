import { setTimeout as sleep } from 'node:timers/promises'
import { listProcesses } from '../../storage/root-secrets.ts'
import { addSeconds } from '../time.ts'
import { type ReloadedKeys, reloadKeys } from './reloaded-keys.ts'
import { PROCESS_GONE_AFTER } from './root-secrets.ts'

const EVERY_MS = 100
/** Processes reload every second; one that is stalled gets a little longer. */
const ROUNDS = 50

/**
 * Waits until every running process has loaded the keys that are stored now, five seconds at most. @param rounds how often to look
 * @returns how many have not said so: they were killed a moment ago, stand still, or are of an older version
 */
export async function awaitReloads(services: ReloadedKeys, rounds = ROUNDS): Promise<number> {
  for (let round = 1; ; round++) {
    await reloadKeys(services)
    const processes = await listProcesses(services.storage.pool, addSeconds(services.clock(), -PROCESS_GONE_AFTER))
    const behind = processes.filter(({ signingKeysId }) => signingKeysId !== services.keys.id())
    if (behind.length === 0 || round === rounds) return behind.length
    await sleep(EVERY_MS)
  }
}
