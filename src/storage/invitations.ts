import type { Invitation } from './client/client.ts'
import { hasPrefix } from './prefixes.ts'
import type { Database, Queryable } from './postgres.ts'
import { insertRow, updateRow } from './rows.ts'

export type InvitationRow = Invitation

const COLUMNS = `id, email, email_key AS "emailKey", roles, group_ids AS "groupIds", invited_by AS "invitedBy",
  created_at AS "createdAt", sent_at AS "sentAt", expires_at AS "expiresAt", sent_count AS "sentCount"`

/** @throws a unique violation when the address has an invitation */
export async function insertInvitation(db: Queryable, invitation: InvitationRow): Promise<void> {
  await insertRow(db, 'invitations', invitation)
}

/** Also one that has expired. */
export async function findInvitation({ pool }: Database, id: string): Promise<InvitationRow | null> {
  const result = await pool.query<InvitationRow>(`SELECT ${COLUMNS} FROM invitations WHERE id = $1`, [id])
  return result.rows[0] ?? null
}

/** Also one that has expired. */
export async function findInvitationByEmail({ pool }: Database, emailKey: string): Promise<InvitationRow | null> {
  const result = await pool.query<InvitationRow>(`SELECT ${COLUMNS} FROM invitations WHERE email_key = $1`, [emailKey])
  return result.rows[0] ?? null
}

/** By address, from after the key `after` on. */
export async function listInvitations(
  { pool }: Database,
  { prefix, after, limit }: { prefix: string; after: string | null; limit: number },
): Promise<InvitationRow[]> {
  const result = await pool.query<InvitationRow>(
    `SELECT ${COLUMNS} FROM invitations WHERE ${hasPrefix('email_key', '$1')} AND ($2::text IS NULL OR email_key COLLATE "C" > $2)
     ORDER BY email_key COLLATE "C" LIMIT $3`,
    [prefix, after, limit],
  )
  return result.rows
}

export async function updateInvitation(
  db: Queryable,
  id: string,
  change: Partial<InvitationRow>,
): Promise<InvitationRow | null> {
  return updateRow<InvitationRow>(db, 'invitations', ['id', id], change, COLUMNS)
}

/** Locks an invitation: one transaction at a time changes it, and none uses it meanwhile. */
export async function lockInvitation(db: Queryable, id: string): Promise<InvitationRow | null> {
  const result = await db.query<InvitationRow>(`SELECT ${COLUMNS} FROM invitations WHERE id = $1 FOR NO KEY UPDATE`, [
    id,
  ])
  return result.rows[0] ?? null
}

/** Takes a living invitation: of callers that race, one gets it and the others null. */
export async function takeInvitation(db: Queryable, id: string, now: Date): Promise<InvitationRow | null> {
  const result = await db.query<InvitationRow>(
    `DELETE FROM invitations WHERE id = $1 AND expires_at > $2 RETURNING ${COLUMNS}`,
    [id, now],
  )
  return result.rows[0] ?? null
}

export async function deleteInvitation(db: Queryable, id: string): Promise<InvitationRow | null> {
  const result = await db.query<InvitationRow>(`DELETE FROM invitations WHERE id = $1 RETURNING ${COLUMNS}`, [id])
  return result.rows[0] ?? null
}

/** Deletes the invitation of this address if it has expired. */
export async function deleteExpiredInvitation(db: Queryable, emailKey: string, now: Date): Promise<void> {
  await db.query('DELETE FROM invitations WHERE email_key = $1 AND expires_at <= $2', [emailKey, now])
}

/** Deletes up to `limit` invitations that expired before then. @returns how many */
export async function deleteExpiredInvitations(db: Queryable, before: Date, limit: number): Promise<number> {
  const result = await db.query(
    `DELETE FROM invitations WHERE id = ANY (
       ARRAY(SELECT id FROM invitations WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED))`,
    [before, limit],
  )
  return result.rowCount ?? 0
}
