import type { Notice as NoticeRow } from './client/client.ts'
import type { Queryable } from './postgres.ts'

export type { NoticeRow }

export type NewNotice = Pick<
  NoticeRow,
  'id' | 'kind' | 'clientId' | 'familyId' | 'identityId' | 'sid' | 'cause' | 'happenedAt'
>

export async function insertNotices(db: Queryable, notices: NewNotice[]): Promise<void> {
  if (notices.length === 0) return
  const column = (name: keyof NewNotice) => notices.map((notice) => notice[name])
  await db.query({
    name: 'notices-insert',
    text: `INSERT INTO notices (id, kind, client_id, family_id, identity_id, sid, cause, happened_at)
     SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::timestamptz[])`,
    values: [
      column('id'),
      column('kind'),
      column('clientId'),
      column('familyId'),
      column('identityId'),
      column('sid'),
      column('cause'),
      column('happenedAt'),
    ],
  })
}

/** What has come of telling apps that these families ended. */
export async function listReceipts(db: Queryable, familyIds: string[]): Promise<ReceiptRow[]> {
  const result = await db.query<ReceiptRow>({
    name: 'receipts-list',
    text: `SELECT family_id AS "familyId", kind, attempts, last_attempt_at AS "lastAttemptAt", problem, confirmed_at AS "confirmedAt",
       given_up_at AS "givenUpAt"
     FROM notices WHERE family_id = ANY ($1::uuid[]) AND kind IN ('logout', 'session-revoked') ORDER BY kind`,
    values: [familyIds],
  })
  return result.rows
}

export type ReceiptRow = Pick<
  NoticeRow,
  'familyId' | 'kind' | 'attempts' | 'lastAttemptAt' | 'problem' | 'confirmedAt' | 'givenUpAt'
>
