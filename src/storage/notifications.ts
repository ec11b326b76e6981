import type { Notice as NotificationRow } from './client/client.ts'
import type { Queryable } from './postgres.ts'
import type { Storage } from './storage.ts'

export type { NotificationRow }

export type NewNotification = Pick<
  NotificationRow,
  'id' | 'kind' | 'clientId' | 'familyId' | 'identityId' | 'sid' | 'cause' | 'happenedAt'
>

export interface DeliveryAttempt {
  at: Date
  /** How many there have been, with this one. */
  attempts: number
  /** Null when it succeeded. */
  problem: string | null
}

export const NOTIFICATION_STATES = ['waiting', 'confirmed', 'given-up'] as const
export type NotificationState = (typeof NOTIFICATION_STATES)[number]

/** A filter of notifications; a field that is left out matches all. */
export interface NotificationChoice {
  clientId?: string | undefined
  familyId?: string | undefined
  state?: NotificationState | undefined
}

export async function insertNotifications(db: Queryable, notifications: NewNotification[]): Promise<void> {
  if (notifications.length === 0) return
  const column = (name: keyof NewNotification) => notifications.map((notification) => notification[name])
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

export async function findNotification(db: Queryable, id: string): Promise<NotificationRow | null> {
  const result = await db.query<NotificationRow>({
    name: 'notice-find',
    text: `SELECT ${COLUMNS} FROM notices WHERE id = $1`,
    values: [id],
  })
  return result.rows[0] ?? null
}

/** The newest, `limit` at most; `before` is the one to go on from. */
export async function listNotifications(
  { prisma }: Storage,
  { clientId, familyId, state }: NotificationChoice,
  limit: number,
  before: Pick<NotificationRow, 'happenedAt' | 'id'> | null = null,
): Promise<NotificationRow[]> {
  const rest = before && {
    happenedAt: { lte: before.happenedAt },
    OR: [{ happenedAt: { lt: before.happenedAt } }, { id: { gt: before.id } }],
  }
  return (await prisma()).notice.findMany({
    // Prisma reads undefined as no condition.
    where: { clientId, familyId, ...(state && IN_STATE[state]), ...rest },
    orderBy: [{ happenedAt: 'desc' }, { id: 'asc' }],
    take: limit,
  })
}

const IN_STATE = {
  waiting: { confirmedAt: null, givenUpAt: null },
  confirmed: { confirmedAt: { not: null } },
  'given-up': { confirmedAt: null, givenUpAt: { not: null } },
} satisfies Record<NotificationState, object>

export interface OpenNotifications {
  clientId: string
  appName: string
  waiting: number
  /** When the oldest that waits happened. */
  oldest: Date | null
  givenUp: number
}

/** How many notifications of each app are not confirmed; of each app `limit` are counted at most. */
export async function countOpenNotifications(db: Queryable, limit: number): Promise<OpenNotifications[]> {
  const result = await db.query<OpenNotifications>(
    `SELECT a.client_id AS "clientId", a.name AS "appName", counted.*
     FROM apps a, LATERAL (
       SELECT count(*) FILTER (WHERE given_up_at IS NULL)::int AS waiting,
         min(happened_at) FILTER (WHERE given_up_at IS NULL) AS oldest,
         count(*) FILTER (WHERE given_up_at IS NOT NULL)::int AS "givenUp"
       FROM (SELECT * FROM notices WHERE client_id = a.client_id AND confirmed_at IS NULL ORDER BY happened_at LIMIT $1) open) counted
     WHERE waiting > 0 OR "givenUp" > 0 ORDER BY a.name, a.client_id`,
    [limit],
  )
  return result.rows
}

/** The notifications about the end of these families; of each family, the logout first. */
export async function listNotificationsOfEnds(db: Queryable, familyIds: string[]): Promise<NotificationRow[]> {
  const result = await db.query<NotificationRow>({
    name: 'notices-of-ends',
    text: `SELECT ${COLUMNS} FROM notices WHERE family_id = ANY ($1::uuid[]) AND kind IN ('logout', 'session-revoked') ORDER BY kind`,
    values: [familyIds],
  })
  return result.rows
}

export async function updateDeliveryAttempt(
  db: Queryable,
  id: string,
  { at, attempts, problem }: DeliveryAttempt,
): Promise<void> {
  await db.query({
    name: 'notice-update-attempt',
    text: `UPDATE notices SET attempts = $2, last_attempt_at = $3, problem = $4 WHERE id = $1 AND confirmed_at IS NULL`,
    values: [id, attempts, at, problem],
  })
}

/**
 * Records the last attempt: confirmed when it had no problem, else given up. False when it was settled already, and when
 * its identity has been erased; an erasure in progress is waited for.
 */
export async function settleNotification(
  db: Queryable,
  { id, identityId }: Pick<NotificationRow, 'id' | 'identityId'>,
  { at, attempts, problem }: DeliveryAttempt,
): Promise<boolean> {
  const result = await db.query({
    name: 'notice-settle',
    text: `WITH holder AS (SELECT id FROM identities WHERE id = $2 FOR KEY SHARE)
      UPDATE notices SET attempts = $3, last_attempt_at = $4, problem = $5,
        confirmed_at = CASE WHEN $5::text IS NULL THEN $4::timestamptz END,
        given_up_at = CASE WHEN $5::text IS NOT NULL THEN $4::timestamptz END
      WHERE id = $1 AND confirmed_at IS NULL AND EXISTS (SELECT 1 FROM holder)`,
    values: [id, identityId, attempts, at, problem],
  })
  return result.rowCount === 1
}

/** Deletes a notification about an erased identity. */
export async function deleteErasedNotification(db: Queryable, id: string): Promise<void> {
  await db.query(
    `DELETE FROM notices WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM identities WHERE identities.id = identity_id)`,
    [id],
  )
}

/** Reopens notifications that were given up, `limit` of them at most. @returns them, in the order in which they happened */
export async function reopenNotifications(
  db: Queryable,
  choice: { ids: string[] } | { clientId: string },
  limit: number,
): Promise<Pick<NotificationRow, 'id' | 'clientId' | 'kind'>[]> {
  const [condition, value] =
    'ids' in choice ? ['id = ANY ($1::uuid[])', choice.ids] : ['client_id = $1', choice.clientId]
  const result = await db.query<Pick<NotificationRow, 'id' | 'clientId' | 'kind' | 'happenedAt'>>(
    `UPDATE notices SET given_up_at = NULL, attempts = 0, problem = NULL WHERE id = ANY (ARRAY(
       SELECT id FROM notices WHERE ${condition} AND confirmed_at IS NULL AND given_up_at IS NOT NULL
       ORDER BY happened_at, id LIMIT $2 FOR UPDATE SKIP LOCKED))
     RETURNING id, client_id AS "clientId", kind, happened_at AS "happenedAt"`,
    [value, limit],
  )
  return result.rows.toSorted((one, other) => one.happenedAt.getTime() - other.happenedAt.getTime())
}

/** Deletes up to `limit` settled notifications that happened before then, and returns how many. */
export async function deletePastNotifications(db: Queryable, before: Date, limit: number): Promise<number> {
  const result = await db.query(
    `DELETE FROM notices WHERE id = ANY (ARRAY(
       SELECT id FROM notices WHERE happened_at < $1 AND ${IS_OVER} ORDER BY happened_at LIMIT $2 FOR UPDATE SKIP LOCKED))`,
    [before, limit],
  )
  return result.rowCount ?? 0
}

/** Deletes up to `limit` settled notifications about families of this identity, and returns how many. */
export async function deleteNotificationsOf(db: Queryable, identityId: string, limit: number): Promise<number> {
  const result = await db.query(
    `DELETE FROM notices WHERE id = ANY (ARRAY(
       SELECT notices.id FROM families JOIN notices ON notices.family_id = families.id
       WHERE families.identity_id = $1 AND ${IS_OVER} LIMIT $2))`,
    [identityId, limit],
  )
  return result.rowCount ?? 0
}

const IS_OVER = '(confirmed_at IS NOT NULL OR given_up_at IS NOT NULL)'

const COLUMNS = `id, kind, client_id AS "clientId", family_id AS "familyId", identity_id AS "identityId", sid, cause,
  happened_at AS "happenedAt", attempts, last_attempt_at AS "lastAttemptAt", problem, confirmed_at AS "confirmedAt",
  given_up_at AS "givenUpAt"`
