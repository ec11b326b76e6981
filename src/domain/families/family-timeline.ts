import type { FamilyRow } from '../../storage/families.ts'
import {
  type TimelineRow,
  listTimelineRows,
  type NewTimelineRow,
  upsertTimelineRow,
} from '../../storage/family-timeline.ts'
import type { Queryable } from '../../storage/postgres.ts'
import { END_CAUSES } from '../endings/end-causes.ts'
import { endCauseOf, endMessage, endTimeOf } from './family-ends.ts'
import { type Message, message, type MessageKey, type Words } from '../../i18n/messages.ts'
import { clientMessage } from '../geoip.ts'
import type { ClientInfo } from '../client-info.ts'
import type { Services } from '../services.ts'

/**
 * The kinds of timeline entries: every outcome of a genuine refresh token but the plain rotation. A family has one row of each
 * kind at most, however often it happens.
 */
export const TIMELINE_KINDS = {
  grace_hit: { message: 'timeline.grace_hit', alarming: false },
  proven_hit: { message: 'timeline.proven_hit', alarming: false },
  refused_wrong_app: { message: 'timeline.refused_wrong_app', alarming: true },
  refused_ended: { message: 'timeline.refused_ended', alarming: false },
  refused_expired: { message: 'timeline.refused_expired', alarming: false },
  refused_identity_disabled: { message: 'timeline.refused_identity_disabled', alarming: false },
  refused_app_disabled: { message: 'timeline.refused_app_disabled', alarming: false },
  refused_access_withdrawn: { message: 'timeline.refused_access_withdrawn', alarming: false },
  refused_reused: { message: 'timeline.refused_reused', alarming: true },
  refused_own_reuse: { message: 'timeline.refused_own_reuse', alarming: false },
  refused_duplicate: { message: 'timeline.refused_duplicate', alarming: false },
  refused_forgotten: { message: 'timeline.refused_forgotten', alarming: false },
  refused_scope: { message: 'timeline.refused_scope', alarming: false },
  refused_wrong_proof: { message: 'timeline.refused_wrong_proof', alarming: true },
  refused_ahead: { message: 'timeline.refused_ahead', alarming: false },
  refused_secret_lost: { message: 'timeline.refused_secret_lost', alarming: false },
  refused_raced: { message: 'timeline.refused_raced', alarming: false },
} as const satisfies Record<string, { message: MessageKey; alarming: boolean }>

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
  sentence: Message
  count: number
  firstAt: Date | null
  lastAt: Date | null
  generation: number | null
  /** The clients in words (program, IP address, GeoIP location), the last one first. */
  clients: Words[]
  tone: 'plain' | 'good' | 'warning'
}

/** The timeline of a family, in the order in which each kind happened first. */
export async function familyTimeline(services: Services, family: FamilyRow): Promise<TimelineEntry[]> {
  const rows = await listTimelineRows(services.storage.pool, family.id)
  const entries = [
    connected(services, family),
    ...refreshed(services, family),
    ...rows.map((row) => entryOf(services, family.appName, row)),
    ...ended(services, family),
  ]
  // An entry without a time has happened just now.
  const timeOf = ({ firstAt }: TimelineEntry) => firstAt?.getTime() ?? Infinity
  return entries.toSorted((a, b) => (timeOf(a) === timeOf(b) ? 0 : timeOf(a) - timeOf(b)))
}

function connected(services: Services, family: FamilyRow): TimelineEntry {
  return {
    kind: 'connected',
    sentence: message('timeline.connected', { app: family.appName }),
    count: 1,
    firstAt: family.createdAt,
    lastAt: family.createdAt,
    generation: 0,
    clients: [clientMessage(services, family)],
    tone: 'good',
  }
}

function refreshed(services: Services, family: FamilyRow): TimelineEntry[] {
  const { generation, firstRotatedAt, rotatedAt, seen, appName: app } = family
  if (generation === 0) return []
  const clients = seen.map((each) => {
    const [address = '', ...program] = each.split(' ')
    return clientMessage(services, { address, browser: program.join(' ') })
  })
  const sentence = message('timeline.refreshed', { app, count: generation })
  const firstAt = firstRotatedAt ?? rotatedAt
  return [
    { kind: 'refreshed', sentence, count: generation, firstAt, lastAt: rotatedAt, generation, clients, tone: 'plain' },
  ]
}

function entryOf(
  services: Services,
  app: string,
  { kind, count, firstAt, lastAt, generation, ...clientInfo }: TimelineRow,
): TimelineEntry {
  const { message: key, alarming } = TIMELINE_KINDS[kind as TimelineKind]
  return {
    kind: kind as TimelineKind,
    sentence: message(key, { app, count }),
    count,
    firstAt,
    lastAt,
    generation,
    clients: [clientMessage(services, clientInfo)],
    tone: alarming ? 'warning' : 'plain',
  }
}

function ended(services: Services, family: FamilyRow): TimelineEntry[] {
  const now = services.clock()
  const cause = endCauseOf(family, now)
  if (cause === null) return []
  const at = endTimeOf(family, now)
  const tone = END_CAUSES[cause].alarming ? 'warning' : 'plain'
  const sentence = message('timeline.ended', { why: endMessage(services, cause, family) })
  return [
    { kind: 'ended', sentence, count: 1, firstAt: at, lastAt: at, generation: family.generation, clients: [], tone },
  ]
}
