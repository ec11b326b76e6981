import { type AuditChoice, type SearchedAuditRow, searchAuditEvents as search } from '../storage/audit-search.ts'
import type { Services } from './services.ts'

export type { AuditChoice, SearchedAuditRow }

/** Events of one statement of an export. */
const BATCH = 1000

/**
 * Newest first, `limit` at most; `before` is the `next` of the answer before. There may be fewer than `limit`, or none, although
 * there are more: a search looks through a bounded number of events. Null for `next` is the end.
 */
export async function searchAuditEvents(
  services: Services,
  choice: AuditChoice,
  before: string | null,
  limit: number,
): Promise<{ rows: SearchedAuditRow[]; next: string | null }> {
  return search(services.storage.pool, choice, before, limit)
}

/** All of them, newest first, batch by batch: the next is read when the one before was taken. */
export async function* streamAuditEvents(services: Services, choice: AuditChoice): AsyncGenerator<SearchedAuditRow[]> {
  let before: string | null = null
  do {
    const { rows, next }: { rows: SearchedAuditRow[]; next: string | null } = await searchAuditEvents(
      services,
      choice,
      before,
      BATCH,
    )
    if (rows.length > 0) yield rows
    before = next
  } while (before !== null)
}
