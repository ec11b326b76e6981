import type { Mail } from '../domain/mail.ts'
import type { Portal } from '../domain/portal.ts'

/** The mails of a kind that were queued so far, sent or not, oldest first. */
export async function queuedMails<K extends Mail['kind']>(
  { storage }: Portal,
  kind: K,
): Promise<Extract<Mail, { kind: K }>[]> {
  const { rows } = await storage.pool.query<{ exists: boolean }>(
    `SELECT to_regclass('queue.job') IS NOT NULL AS exists`,
  )
  if (rows[0]?.exists !== true) return []
  const mails = await storage.pool.query<{ data: Extract<Mail, { kind: K }> }>(
    `SELECT data FROM queue.job WHERE name = 'mail' AND data->>'kind' = $1 ORDER BY created_on`,
    [kind],
  )
  return mails.rows.map(({ data }) => data)
}
