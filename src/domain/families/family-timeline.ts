import type { FamilyRow } from '../../storage/families.ts'
import {
  type TimelineRow,
  listTimelineRows,
  type NewTimelineRow,
  upsertTimelineRow,
} from '../../storage/family-timeline.ts'
import type { Queryable } from '../../storage/postgres.ts'
import { END_CAUSES } from '../endings/end-causes.ts'
import { endCauseOf, endInWords, endTimeOf } from './family-ends.ts'
import { clientInWords } from '../geoip.ts'
import type { ClientInfo } from '../client-info.ts'
import type { Services } from '../services.ts'

/**
 * The kinds of timeline entries: every outcome of a genuine refresh token but the plain rotation. A family has one row of each
 * kind at most, however often it happens.
 */
export const TIMELINE_KINDS = {
  grace_hit: { words: 'an answer was lost, or two tabs asked at once', alarming: false },
  proven_hit: { words: 'the app had not received the answer before', alarming: false },
  refused_wrong_app: { words: 'another app presented a refresh token of this one', alarming: true },
  refused_ended: { words: 'the app came back after the end', alarming: false },
  refused_expired: { words: 'the app came back after the time was over', alarming: false },
  refused_identity_disabled: { words: 'the account was disabled', alarming: false },
  refused_app_disabled: { words: 'the app was disabled', alarming: false },
  refused_reused: { words: 'a refresh token that had been replaced was used again', alarming: true },
  refused_own_reuse: { words: 'the app used an old key of its own again', alarming: false },
  refused_duplicate: { words: 'the app sent the same refresh token twice at once', alarming: false },
  refused_forgotten: {
    words: 'the app refreshed so often in a moment that not all of it is remembered',
    alarming: false,
  },
  refused_scope: { words: 'the app asked for more than it may have', alarming: false },
  refused_wrong_proof: { words: 'the refresh token came without the key that it belongs to', alarming: true },
  refused_ahead: { words: 'the refresh token is newer than this portal knows of, as after a backup', alarming: false },
  refused_secret_lost: { words: 'the secret that its answer was made with is no longer kept', alarming: false },
  refused_raced: { words: 'something changed at that very moment', alarming: false },
} as const satisfies Record<string, { words: string; alarming: boolean }>

export type TimelineKind = keyof typeof TIMELINE_KINDS

interface Presented {
  familyId: string
  /** Of the refresh token. */
  generation: number
  clientInfo: ClientInfo
  at: Date
}

/** Counts an outcome in the family's timeline. Never throws: a failed write of the timeline must not fail the request. */
export async function recordInTimeline(
  services: Services,
  kind: TimelineKind,
  { familyId, generation, clientInfo, at }: Presented,
): Promise<void> {
  const { pool } = services.storage
  const lines = linesOf(pool)
  const key = `${familyId} ${kind}`
  const last = lines.get(key)
  const entry = { familyId, kind, generation, lastAt: at, ...clientInfo }
  if (last !== undefined && !last.hasBegun) {
    Object.assign(last.entry, entry, { count: last.entry.count + 1 })
    return last.written
  }
  const batch: Batch = { entry: { ...entry, firstAt: at, count: 1 }, hasBegun: false, written: Promise.resolve() }
  lines.set(key, batch)
  batch.written = write(last?.written)
  return batch.written

  async function write(before: Promise<void> | undefined): Promise<void> {
    await before
    batch.hasBegun = true
    try {
      await upsertTimelineRow(pool, batch.entry)
    } catch (error) {
      services.logger.warn({ error, familyId, kind }, 'the family timeline was not written')
    }
    if (lines.get(key) === batch) lines.delete(key)
  }
}

/** The outcomes of one family and kind that one statement writes. */
interface Batch {
  entry: NewTimelineRow
  hasBegun: boolean
  written: Promise<void>
}

/**
 * The batches that are being written, or wait. Outcomes that come while a row is being written share the next statement, so a
 * flood of one kind holds one connection.
 */
const allLines = new WeakMap<Queryable, Map<string, Batch>>()

function linesOf(db: Queryable): Map<string, Batch> {
  const lines = allLines.get(db) ?? new Map<string, Batch>()
  allLines.set(db, lines)
  return lines
}

/** One entry of a family's timeline, as the user reads it. */
export interface TimelineEntry {
  kind: 'connected' | 'refreshed' | 'ended' | TimelineKind
  sentence: string
  count: number
  firstAt: Date | null
  lastAt: Date | null
  generation: number | null
  /** The clients in words (program, IP address, GeoIP location), the last one first. */
  clients: string[]
  tone: 'plain' | 'good' | 'warning'
}

/** The timeline of a family, in the order in which each kind happened first. */
export async function familyTimeline(services: Services, family: FamilyRow): Promise<TimelineEntry[]> {
  const rows = await listTimelineRows(services.storage.pool, family.id)
  const entries = [
    connected(services, family),
    ...refreshed(services, family),
    ...rows.map((row) => entryOf(services, row)),
    ...ended(services, family),
  ]
  // An entry without a time has happened just now.
  const timeOf = ({ firstAt }: TimelineEntry) => firstAt?.getTime() ?? Infinity
  return entries.toSorted((a, b) => (timeOf(a) === timeOf(b) ? 0 : timeOf(a) - timeOf(b)))
}

function connected(services: Services, family: FamilyRow): TimelineEntry {
  return {
    kind: 'connected',
    sentence: `${family.appName} was connected.`,
    count: 1,
    firstAt: family.createdAt,
    lastAt: family.createdAt,
    generation: 0,
    clients: [clientInWords(services, family)],
    tone: 'good',
  }
}

function refreshed(services: Services, { generation, firstRotatedAt, rotatedAt, seen }: FamilyRow): TimelineEntry[] {
  if (generation === 0) return []
  const clients = seen.map((each) => {
    const [address = '', ...program] = each.split(' ')
    return clientInWords(services, { address, browser: program.join(' ') })
  })
  const sentence = `It was refreshed ${timesInWords(generation)}.`
  const firstAt = firstRotatedAt ?? rotatedAt
  return [
    { kind: 'refreshed', sentence, count: generation, firstAt, lastAt: rotatedAt, generation, clients, tone: 'plain' },
  ]
}

function entryOf(
  services: Services,
  { kind, count, firstAt, lastAt, generation, ...clientInfo }: TimelineRow,
): TimelineEntry {
  const { words, alarming } = TIMELINE_KINDS[kind as TimelineKind]
  const what =
    kind === 'grace_hit' || kind === 'proven_hit' ? 'The same answer was given again' : 'A refresh was refused'
  return {
    kind: kind as TimelineKind,
    sentence: `${what} ${timesInWords(count)}: ${words}.`,
    count,
    firstAt,
    lastAt,
    generation,
    clients: [clientInWords(services, clientInfo)],
    tone: alarming ? 'warning' : 'plain',
  }
}

function ended(services: Services, family: FamilyRow): TimelineEntry[] {
  const now = services.clock()
  const cause = endCauseOf(family, now)
  if (cause === null) return []
  const at = endTimeOf(family, now)
  const tone = END_CAUSES[cause].alarming ? 'warning' : 'plain'
  const sentence = `It ended: ${endInWords(services, cause, family)}.`
  return [
    { kind: 'ended', sentence, count: 1, firstAt: at, lastAt: at, generation: family.generation, clients: [], tone },
  ]
}

function timesInWords(count: number): string {
  return count === 1 ? 'once' : count === 2 ? 'twice' : `${count} times`
}
