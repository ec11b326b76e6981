import { randomUUID } from 'node:crypto'
import type { EndedFamily } from '../storage/families.ts'
import { insertNotices, type NewNotice, type NoticeRow } from '../storage/notices.ts'
import type { Queryable } from '../storage/postgres.ts'
import type { EndCause } from './end-causes.ts'
import type { Portal } from './portal.ts'

export type { NoticeRow }

/** `logout`: a logout token (OpenID Connect Back-Channel Logout). The others: events of CAEP, as RFC 8417 tokens. */
export type NoticeKind = 'logout' | 'session-revoked' | 'token-claims-change'

/** Queues what each app is told of families that have just ended, in the transaction that ends them. */
export async function announceEnded(
  portal: Portal,
  db: Queryable,
  ended: EndedFamily[],
  cause: EndCause,
  now: Date,
): Promise<void> {
  const about = (family: EndedFamily, kind: NoticeKind): NewNotice => ({
    id: randomUUID(),
    kind,
    clientId: family.clientId,
    familyId: family.id,
    identityId: family.identityId,
    sid: family.sid,
    cause,
    happenedAt: now,
  })
  await queueNotices(
    portal,
    db,
    ended.flatMap((family) => [
      ...(family.takesLogouts ? [about(family, 'logout')] : []),
      ...(family.takesEvents ? [about(family, 'session-revoked')] : []),
    ]),
  )
}

async function queueNotices(portal: Portal, db: Queryable, notices: NewNotice[]): Promise<void> {
  if (notices.length === 0) return
  await insertNotices(db, notices)
  const jobs = notices.map(({ id, clientId, kind }) => ({ payload: { notice: id }, key: laneOf(clientId, kind) }))
  await portal.storage.jobs.putAll('notices', jobs, db)
}

/** What is told in order: everything one address of an app gets. */
function laneOf(clientId: string, kind: string): string {
  return `${clientId} ${kind === 'logout' ? 'logouts' : 'events'}`
}
