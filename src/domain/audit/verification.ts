import { setTimeout as sleep } from 'node:timers/promises'
import {
  type CheckpointRow,
  countEventsAfter,
  findCheckpointHash,
  findNewestCheckpoint,
  listCheckpoints,
  listSealedRows,
  type SealedRow,
} from '../../storage/audit-seals.ts'
import { type Queryable, snapshot } from '../../storage/postgres.ts'
import type { Services } from '../services.ts'
import {
  checkpointHash,
  erasureProofOf,
  isSigned,
  type Leaf,
  leafOf,
  NO_CHECKPOINT,
  rootOf,
  unpackLeaves,
} from './checkpoints.ts'
import type { Witness } from './sealing.ts'

/** What is wrong with one audit event. */
export const EVENT_PROBLEMS = {
  altered: 'A column was changed after the event was sealed.',
  emptied: 'Its personal columns were emptied, and not by the erasure of an account.',
  removed: 'It was sealed, and is gone.',
  added: 'It was not there when the events around it were sealed.',
  backdated: 'Its time is earlier than that of the events sealed before it.',
} as const
/** What is wrong with one checkpoint. */
export const CHECKPOINT_PROBLEMS = {
  altered: 'It is not what was signed.',
  unsigned: 'Its signature is not from this portal.',
  unchained: 'It does not follow the checkpoint before it.',
  leaves_altered: 'Its hashes of events are not those that were sealed.',
  removed: 'It is gone, and the events that it sealed cannot be verified.',
  not_as_witnessed: 'It is another one than the witness says.',
} as const

export type EventProblem = keyof typeof EVENT_PROBLEMS
export type CheckpointProblem = keyof typeof CHECKPOINT_PROBLEMS

export type Finding =
  | { about: 'event'; id: string; problem: EventProblem; checkpoint: string | null }
  | { about: 'checkpoint'; number: string; problem: CheckpointProblem }

export interface Verification {
  /** Events and checkpoints that were compared. */
  events: number
  checkpoints: number
  /** In the order of the log, `MOST_FINDINGS` at most. */
  findings: Finding[]
  /** All findings, and how many of them are events. */
  total: number
  wrongEvents: number
  /** The newest checkpoint; null before the first. */
  newest: (Witness & { at: Date }) | null
  /** Events after it, and when the first of them was. */
  unsealed: { count: number; since: Date | null }
}

/** Findings that are named; more are counted. */
export const MOST_FINDINGS = 10_000
/** Checkpoints that are named of a gap. */
const MOST_MISSING = 100
/** Checkpoints that are read at a time, rows that are read at a time, and the pause in between (ms). */
const AT_A_TIME = 20
const ROWS = 1000
const PAUSE_MS = 5
/** How much earlier than an event before it an event may be (ms): clocks of machines differ, and a transaction takes a while. */
const DISORDER_MS = 600_000

/** Compares the whole audit log with its checkpoints, and these with their signatures and, when there is one, with a witness. */
export async function verifyAuditLog(
  services: Services,
  witness: Witness | null,
  pauseMs = PAUSE_MS,
): Promise<Verification> {
  const { pool } = services.storage
  const found = new Findings()
  const chain: Chain = { last: null, times: null }
  let isFirst = true
  for (let hasMore = true; hasMore;) {
    // One snapshot, because an erasure or the retention may change both at any moment.
    hasMore = await snapshot(pool, async (db) => {
      const rows = await listCheckpoints(db, chain.last?.number ?? '0', AT_A_TIME)
      for (const row of rows) {
        if (isFirst) await findBefore(db, row, found)
        isFirst = false
        await verifyCheckpoint(services, db, row, chain, found)
      }
      return rows.length === AT_A_TIME
    })
    if (hasMore) await sleep(pauseMs)
  }
  if (witness !== null) await compareWithWitness(pool, witness, found)
  const newest = await findNewestCheckpoint(pool)
  return {
    ...found.counted,
    findings: found.list,
    newest: newest && { number: newest.number, hash: newest.hash.toString('hex'), at: newest.at },
    unsealed: await countEventsAfter(pool, newest?.toId ?? '0'),
  }
}

class Findings {
  readonly list: Finding[] = []
  readonly counted = { events: 0, checkpoints: 0, total: 0, wrongEvents: 0 }

  add(finding: Finding): void {
    this.counted.total++
    if (finding.about === 'event') this.counted.wrongEvents++
    if (this.list.length < MOST_FINDINGS) this.list.push(finding)
  }
}

interface Chain {
  last: Pick<CheckpointRow, 'number' | 'toId' | 'hash'> | null
  /** The time of the newest event of the last checkpoint (ms). */
  times: number | null
}

/** What stands before the first checkpoint: nothing, as ids begin with 1 and the retention leaves none. */
async function findBefore(db: Queryable, first: CheckpointRow, found: Findings): Promise<void> {
  const isBeginning = first.prunedSignature !== null
  const to = isBeginning ? first.toId : '0'
  for (let after = '-9223372036854775808'; ;) {
    const rows = await listSealedRows(db, { after, to }, ROWS)
    for (const { id } of rows) found.add({ about: 'event', id, problem: 'added', checkpoint: null })
    const last = rows.at(-1)
    if (rows.length < ROWS || last === undefined) return
    after = last.id
  }
}

async function verifyCheckpoint(
  { auditKeys: keys }: Services,
  db: Queryable,
  row: CheckpointRow,
  chain: Chain,
  found: Findings,
): Promise<void> {
  const { number } = row
  const blame = (problem: CheckpointProblem, which = number) =>
    found.add({ about: 'checkpoint', number: which, problem })
  found.counted.checkpoints++

  const hash = checkpointHash(row)
  const isUnaltered = hash.equals(row.hash)
  const isOurs = isSigned('sealed', hash, row.signature, keys)
  const isPruned = row.prunedSignature !== null && isSigned('pruned', hash, row.prunedSignature, keys)
  const before = chain.last
  chain.last = row
  if (!isUnaltered) blame('altered')
  else if (!isOurs) blame('unsigned')
  if (isPruned && isUnaltered && isOurs) {
    chain.times = null
    return
  }

  const expected = BigInt(before?.number ?? 0) + 1n
  const missing = BigInt(number) - expected
  // Each by its number, but a forged number names no billion of them.
  for (let index = 0n; index < missing && index < MOST_MISSING; index++) blame('removed', String(expected + index))
  const follows = row.previous.equals(before?.hash ?? NO_CHECKPOINT)
  if (missing === 0n && isUnaltered && !follows) blame('unchained')

  const leaves = row.leaves === null ? null : unpackLeaves(row.leaves)
  if (leaves === null || leaves.length !== row.count || !rootOf(leaves).equals(row.root)) blame('leaves_altered')
  // Each leaf says by itself whether its event is as it was, also where the checkpoint is not.
  const isWhole = isUnaltered && isOurs
  const from = isWhole ? row.fromId : leaves?.[0]?.id
  const to = isWhole ? row.toId : leaves?.at(-1)?.id
  if (leaves === null || from === undefined || to === undefined) return
  let newest: number | null = null
  await compareRows(db, leaves, { from, to }, (event, leaf) => {
    found.counted.events++
    const problem = problemOf(event, leaf, keys) ?? (isBackdated(event, chain.times) ? 'backdated' : null)
    const id = event?.id ?? (leaf as Leaf).id
    if (problem !== null) found.add({ about: 'event', id, problem, checkpoint: number })
    else if (event !== null) newest = Math.max(newest ?? -Infinity, timeOf(event))
  })
  chain.times = newest
}

/** Calls `compare` for each id that is among the leaves or the rows, in order. */
async function compareRows(
  db: Queryable,
  leaves: Leaf[],
  { from, to }: { from: string; to: string },
  compare: (event: SealedRow | null, leaf: Leaf | null) => void,
): Promise<void> {
  let next = 0
  for (let after = String(BigInt(from) - 1n); ;) {
    const rows = await listSealedRows(db, { after, to }, ROWS)
    for (const row of rows) {
      for (let leaf = leaves[next]; leaf !== undefined && BigInt(leaf.id) < BigInt(row.id); leaf = leaves[next]) {
        compare(null, leaf)
        next++
      }
      const leaf = leaves[next]
      const isSealed = leaf !== undefined && leaf.id === row.id
      if (isSealed) next++
      compare(row, isSealed ? leaf : null)
    }
    const last = rows.at(-1)
    if (rows.length < ROWS || last === undefined) break
    after = last.id
  }
  for (const leaf of leaves.slice(next)) compare(null, leaf)
}

function problemOf(event: SealedRow | null, leaf: Leaf | null, keys: Services['auditKeys']): EventProblem | null {
  if (event === null) return 'removed'
  if (leaf === null) return 'added'
  const now = leafOf(event, keys)
  // The keyed hash covers every column, and cannot be forged beside its row.
  if (now.keyed.equals(leaf.keyed)) return null
  if (!now.lasting.equals(leaf.lasting) || event.personal.some((value) => value !== null)) return 'altered'
  return event.erasureProof?.equals(erasureProofOf(event.id, keys)) === true ? null : 'emptied'
}

function isBackdated(event: SealedRow | null, newestBefore: number | null): boolean {
  return event !== null && newestBefore !== null && timeOf(event) < newestBefore - DISORDER_MS
}

/** In milliseconds since 1970. */
function timeOf({ lasting }: SealedRow): number {
  return Number(lasting[1]) * 1000
}

async function compareWithWitness(db: Queryable, { number, hash }: Witness, found: Findings): Promise<void> {
  const stored = await findCheckpointHash(db, number)
  if (stored?.toString('hex') === hash.toLowerCase()) return
  const [first] = await listCheckpoints(db, '0', 1)
  // One that the retention has deleted cannot be compared any more.
  const pruned = first?.prunedSignature ? first : null
  const isPruned = stored === null && pruned !== null && BigInt(number) < BigInt(pruned.number)
  if (!isPruned) found.add({ about: 'checkpoint', number, problem: 'not_as_witnessed' })
}
