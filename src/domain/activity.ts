import { type CompletedSignIn, type ListedAuditRow, listAuditEvents, listSignInsAfter } from '../storage/audit.ts'
import { type ActivityTone, activityWords, isUnchecked } from './activity-words.ts'
import { KNOWN_BROWSER } from './audit-events.ts'
import type { Message } from '../i18n/messages.ts'
import type { Services } from './services.ts'

/** Rows that are read at a time, and at most for one page: a line of more than that goes on in the next one. */
const BATCH = 200
const MOST_ROWS = 2000
/** A wrong password is the user's own when the same browser signs in within this time. */
const OWN_WITHIN_MS = 3_600_000
/** Events after a wrong password in which that sign-in is looked for. */
const LOOKED_THROUGH = 1000

/** One audit event, as the user reads it. */
export interface ActivityEntry {
  id: string
  at: Date
  kind: string
  sentence: Message
  tone: ActivityTone
  browser: string | null
  address: string | null
  familyId: string | null
  clientId: string | null
  cause: string | null
  detail: string | null
  /** The name of the operator; null for what users, apps and time do. */
  actor: string | null
}

/** Equal audit events that follow one another on a day, as one line of the activity page. */
export interface ActivityLine {
  sentence: Message
  tone: ActivityTone
  /** The newest first; at least one. */
  events: ActivityEvent[]
}

export interface ActivityEvent {
  at: Date
  browser: string | null
  address: string | null
  /** The family or the signed-in browser it is about, while there is a page of it. */
  familyId: string | null
  identitySessionId: string | null
  /** The browser that was signed out, where another one may have done it. */
  endedBrowser: string | null
}

/** Every audit event of this identity, newest first, `limit` at most; `before` is the id to go on from. */
export async function listActivityEntries(
  services: Services,
  identityId: string,
  limit: number,
  before: string | null,
): Promise<ActivityEntry[]> {
  const rows = await listAuditEvents(services.storage, identityId, limit, before, true)
  const isOwn = await ownAttempts(services, identityId, rows)
  return rows.map((row) => ({
    id: row.id,
    at: row.at,
    kind: row.kind,
    browser: row.browser,
    address: row.address,
    familyId: row.familyId,
    clientId: row.clientId,
    cause: row.cause,
    detail: row.detail,
    actor: row.actor,
    ...activityWords([row], isOwn(row)),
  }))
}

/**
 * A page of `length` lines, newest first; `before` is the `next` of the page before. Events that are equal and follow one another,
 * or that one act has caused, are one line. A page ends between two lines and between two acts, so it may be somewhat longer.
 */
export async function listActivityLines(
  services: Services,
  identityId: string,
  length: number,
  before: string | null,
): Promise<{ lines: ActivityLine[]; next: string | null }> {
  const groups: Group[] = []
  let last: ListedAuditRow | null = null
  let read = 0
  for (let from = before; ; from = last.id) {
    const rows: ListedAuditRow[] = await listAuditEvents(services.storage, identityId, BATCH, from, false)
    const isOwn = await ownAttempts(services, identityId, rows)
    for (const row of rows) {
      const own = isOwn(row)
      const group = groupFor(groups, row, keyOf(row, own))
      const isSameAct = last !== null && isSameTime(last, row)
      const isFull = groups.length >= length && group === undefined && !isSameAct
      if (last !== null && (isFull || read === MOST_ROWS)) return { lines: groups.map(lineOf), next: last.id }
      if (group === undefined) groups.push({ key: keyOf(row, own), isOwn: own, rows: [row] })
      else group.rows.push(row)
      last = row
      read++
    }
    if (rows.length < BATCH || last === null) return { lines: groups.map(lineOf), next: null }
  }
}

interface Group {
  key: string
  isOwn: boolean
  /** The newest first. */
  rows: ListedAuditRow[]
}

/** The line that an event belongs to: the last one, or an earlier one of the same act. */
function groupFor(groups: Group[], row: ListedAuditRow, key: string): Group | undefined {
  const joins = (group: Group | undefined) => group?.key === key && isSameDay(group.rows[0], row)
  const last = groups.at(-1)
  if (joins(last)) return last
  return groups.findLast((group) => joins(group) && isSameTime(group.rows.at(-1), row))
}

/** What equal events have in common. Sign-ins from two places are two lines, and so are acts of an operator and of a user. */
function keyOf({ kind, detail, cause, clientId, actor, browser, address }: ListedAuditRow, isOwn: boolean): string {
  const isByPlace = ![
    'sign_in_refused',
    'second_factor_refused',
    'session_ended',
    'family_opened',
    'family_ended',
  ].includes(kind)
  const isRefused = kind === 'sign_in_refused' || kind === 'second_factor_refused'
  const place = isByPlace ? [browser, address] : []
  // A wrong code and a wrong passkey are one line, and what was refused without a look another one.
  const why = kind === 'second_factor_refused' ? isUnchecked(cause) : cause
  return JSON.stringify([kind, isRefused ? isOwn : detail, why, clientId, actor, ...place])
}

function lineOf({ rows, isOwn }: Group): ActivityLine {
  return {
    ...activityWords(rows, isOwn),
    events: rows.map((row) => ({
      at: row.at,
      browser: row.browser,
      address: row.address,
      familyId: row.hasFamily ? row.familyId : null,
      identitySessionId: row.sessionBrowser === null ? null : row.identitySessionId,
      endedBrowser: row.kind === 'session_ended' ? row.sessionBrowser : null,
    })),
  }
}

/**
 * Tells the user's own typing errors from the attempts of others: a wrong password or code was theirs when it came from a known
 * browser, or when the same browser at the same IP address signed in soon after.
 */
async function ownAttempts(
  services: Services,
  identityId: string,
  rows: ListedAuditRow[],
): Promise<(row: ListedAuditRow) => boolean> {
  const isOpen = ({ kind, detail }: ListedAuditRow) =>
    (kind === 'sign_in_refused' || kind === 'second_factor_refused') && detail !== KNOWN_BROWSER
  const oldest = rows.findLast(isOpen)
  const signIns =
    oldest === undefined ? [] : await listSignInsAfter(services.storage, identityId, oldest.id, LOOKED_THROUGH)
  return (row) => (isOpen(row) ? signIns.some((signIn) => followed(row, signIn)) : row.detail === KNOWN_BROWSER)
}

function followed(row: ListedAuditRow, signIn: CompletedSignIn): boolean {
  const after = signIn.at.getTime() - row.at.getTime()
  return (
    BigInt(signIn.id) > BigInt(row.id) &&
    after <= OWN_WITHIN_MS &&
    row.address !== null &&
    signIn.address === row.address &&
    signIn.browser === row.browser
  )
}

function isSameTime(one: ListedAuditRow | undefined, other: ListedAuditRow): boolean {
  return one?.at.getTime() === other.at.getTime()
}

/** The days have headings, in UTC. */
function isSameDay(one: ListedAuditRow | undefined, other: ListedAuditRow): boolean {
  return one?.at.toISOString().slice(0, 10) === other.at.toISOString().slice(0, 10)
}
