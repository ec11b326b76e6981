import { listSignedInSourceIds } from '../../storage/source-users.ts'
import type { IdentitySource } from '../identity-source.ts'
import { settleSourceStatus } from '../identities/source-users.ts'
import type { Services } from '../services.ts'

/** Users in one question to the source. */
const BATCH = 100

/**
 * Asks the source for the status of every user of it who is signed in to a browser or an app, and signs out those who are
 * disabled or gone. One process asks in each half of the time that a status counts. While the source does not answer, people
 * stay as they are. @param ttl how long a status counts (seconds)
 */
export async function checkSourceStatuses(services: Services, ttl: number, signal?: AbortSignal): Promise<void> {
  if (services.identitySource === null) return
  const half = Math.floor(ttl / 2)
  // Of a second or two there is no half that a store can count: every process asks.
  if (half >= 1 && !(await services.storage.protocolRecords.putOnce(ROUND, ROUND, {}, half))) return
  await settleSourceStatuses(services, signal)
}

const ROUND = 'SourceStatuses'

/** The same, at once. @returns how many were asked about @throws SourceUnavailable */
export async function settleSourceStatuses(services: Services, signal?: AbortSignal): Promise<number> {
  const { identitySource, storage } = services
  let [asked, after]: [number, string | null] = [0, null]
  const failures: unknown[] = []
  while (identitySource !== null && signal?.aborted !== true) {
    const ids: string[] = await listSignedInSourceIds(storage, after, BATCH)
    if (ids.length === 0) break
    // What is wrong with one user or one batch must not keep the others signed in.
    await settleBatch(services, identitySource, ids).catch((error: unknown) => failures.push(error))
    asked += ids.length
    after = ids.at(-1) ?? null
  }
  if (failures.length > 0) throw failures[0]
  return asked
}

/** One after the other, so that many who have left at once do not take every connection. */
async function settleBatch(services: Services, identitySource: IdentitySource, ids: string[]): Promise<void> {
  const statuses = await identitySource.statusesOf(ids)
  const failures: unknown[] = []
  for (const id of ids) {
    const status = statuses.get(id)
    if (status === undefined || status === 'active') continue
    await settleSourceStatus(services, id, status).catch((error: unknown) => failures.push(error))
  }
  if (failures.length > 0) throw failures[0]
}
