import {
  deleteProcess,
  listProcesses,
  listRootSecrets,
  noteProcess,
  type RootSecretRow,
  updateKeptKeys,
} from '../../storage/root-secrets.ts'
import type { Queryable } from '../../storage/postgres.ts'
import type { Storage } from '../../storage/storage.ts'
import { Refused } from '../refused.ts'
import { addSeconds } from '../time.ts'
import { decryptWithAny, encrypt } from './encryption.ts'
import { type DerivedKeys, packKeys, type Secrets, unpackKeys } from './secrets.ts'
import { walkTotpKeys } from './totp-keys.ts'

/** What holds the root secrets: stores, secrets, and the time. */
export interface Holder {
  storage: Storage
  secrets: Secrets
  clock: () => Date
}

/** How often a process says that it runs, and with which secrets (ms). */
export const PROCESS_NOTED_EVERY_MS = 30_000
/** A process that has not said so for this long (seconds) has ended. */
export const PROCESS_GONE_AFTER = 90
/** After this long (seconds) what is over within a day, such as a sign-in in progress, is over. */
export const PASSING_FOR = 86_400

/** The keys of the secrets that are set, and after them those that were kept when their secret was taken away. */
export async function openSecrets(storage: Storage, configured: Secrets, now: Date): Promise<Secrets> {
  const rows = await listRootSecrets(storage.pool)
  const kept = rows.flatMap((row) => (isAmong(configured, row) ? [] : (openKept(row, configured, now) ?? [])))
  return [...configured, ...kept]
}

/** Whether every running process has this secret, so that what is encrypted under it can be read by all. */
export async function everyProcessHas(storage: Storage, { id }: DerivedKeys, now: Date): Promise<boolean> {
  const processes = await listProcesses(storage.pool, addSeconds(now, -PROCESS_GONE_AFTER))
  return processes.every(({ rootSecrets }) => rootSecrets.includes(id))
}

/** Until when something may have been made under this secret. */
export function madeUntil({ firstSeenAt, lastSignedAt }: RootSecretRow): Date {
  return lastSignedAt ?? firstSeenAt
}

/** Null where nothing was kept, or no secret that is set opens it. */
export function openKept(row: RootSecretRow, configured: Secrets, now: Date): DerivedKeys | null {
  const opened = row.keptKeys === null ? null : decryptKept(row, row.keptKeys, configured)
  return opened && unpackKeys(row.id, opened.plaintext, now < addSeconds(madeUntil(row), PASSING_FOR))
}

function decryptKept({ id }: RootSecretRow, keptKeys: string, configured: Secrets) {
  const encryptionKeys = configured.filter(({ isKept }) => !isKept).map(({ keptKeysEncryption }) => keptKeysEncryption)
  return decryptWithAny(keptKeys, id, encryptionKeys)
}

/**
 * Keeps the keys that verify what was made under the secrets after the first one, encrypted under the first. Then these secrets can
 * be taken away, and users stay signed in. @returns how many were not kept so before
 */
export async function keepOlderKeys(db: Queryable, secrets: Secrets): Promise<number> {
  const [first] = secrets
  let count = 0
  for (const row of await listRootSecrets(db)) {
    const older = secrets.find(({ id, isKept }) => id === row.id && id !== first.id && !isKept)
    const opened = row.keptKeys === null ? null : decryptKept(row, row.keptKeys, secrets)
    if (opened !== null && !opened.isOutdated) continue
    const packed = older === undefined ? opened?.plaintext : packKeys(older)
    if (packed === undefined || row.id === first.id) continue
    await updateKeptKeys(db, row.id, encrypt(packed, row.id, first.keptKeysEncryption))
    count++
  }
  return count
}

/** A process that runs, and the id of the signing keys that it has loaded. */
export interface RunningProcess {
  id: string
  signingKeysId: string
}

/** Notes that this process runs, with which keys, and with which secrets, of which it has the first for everything new. */
export async function noteRunning(portal: Holder, { id, signingKeysId }: RunningProcess): Promise<void> {
  const rootSecrets = portal.secrets.filter(({ isKept }) => !isKept).map(({ id }) => id)
  const seenAt = portal.clock()
  const gone = addSeconds(seenAt, -PROCESS_GONE_AFTER)
  await noteProcess(portal.storage.pool, { id, rootSecrets, seenAt, signingKeysId }, gone)
}

/** Notes that this process ends. */
export async function noteStopped(portal: Holder, process: RunningProcess): Promise<void> {
  await noteRunning(portal, process)
  await deleteProcess(portal.storage.pool, process.id)
}

/**
 * What a process that serves does with the root secrets at its start. @throws Refused when a secret was taken away under which
 * authenticator apps are still stored
 */
export async function settleRootSecrets(portal: Holder, process: RunningProcess): Promise<void> {
  await refuseLostSecrets(portal)
  await noteRunning(portal, process)
  await keepOlderKeys(portal.storage.pool, portal.secrets)
}

async function refuseLostSecrets({ storage, secrets }: Holder): Promise<void> {
  const rows = await listRootSecrets(storage.pool)
  const lost = rows.filter((row) => row.rewrappedAt === null && !isConfigured(secrets, row))
  if (lost.length === 0) return
  const { unreadable } = await walkTotpKeys(storage.pool, secrets, false)
  if (unreadable === 0) return
  const ids = lost.map(({ id }) => id).join(', ')
  throw new Refused(
    `GATEHOUSE_SECRET lacks an earlier secret (${ids}) under which ${unreadable} authenticator app${unreadable === 1 ? ' is' : 's are'} stored: put it back after a comma, and run "gatehouse keys rewrap" before it is taken away. If it is lost, "gatehouse keys rewrap --forget" gives up what was made under it`,
  )
}

function isConfigured(secrets: Secrets, row: RootSecretRow): boolean {
  return secrets.some(({ id, isKept }) => id === row.id && !isKept)
}

function isAmong(secrets: Secrets, row: RootSecretRow): boolean {
  return secrets.some(({ id }) => id === row.id)
}

export interface ListedSecret extends Pick<RootSecretRow, 'id' | 'firstSignedAt' | 'lastSignedAt' | 'rewrappedAt'> {
  /**
   * `signing`: everything new is made under it. `verifying`: it is set after another. `kept`: it is not set, and what was made under
   * it stays valid. `gone`: nothing of it does.
   */
  state: 'signing' | 'verifying' | 'kept' | 'gone'
  /** Running processes that have it. */
  processes: number
}

/** Every root secret there was, by its tag, as operators see it from this process, the newest first. */
export async function listSecrets({ storage, secrets, clock }: Holder): Promise<ListedSecret[]> {
  const now = clock()
  const processes = await listProcesses(storage.pool, addSeconds(now, -PROCESS_GONE_AFTER))
  const [first] = secrets
  return (await listRootSecrets(storage.pool)).toReversed().map((row) => {
    const { id, firstSignedAt, lastSignedAt, rewrappedAt } = row
    const state = (): ListedSecret['state'] => {
      if (id === first.id) return 'signing'
      if (isConfigured(secrets, row)) return 'verifying'
      return openKept(row, secrets, now) === null ? 'gone' : 'kept'
    }
    const having = processes.filter(({ rootSecrets }) => rootSecrets.includes(id)).length
    return { id, firstSignedAt, lastSignedAt, rewrappedAt, state: state(), processes: having }
  })
}
