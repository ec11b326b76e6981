import type { AppIcon } from './client/client.ts'
import type { Database, Queryable } from './postgres.ts'

/** A picture as it is stored: its bytes, their hash, and the media type that was found in them. */
export type AppIconRow = Pick<AppIcon, 'hash' | 'type' | 'bytes'>

/** Stores the picture of an app in place of the one before. */
export async function upsertAppIcon(db: Queryable, clientId: string, icon: AppIconRow): Promise<void> {
  await db.query(
    `INSERT INTO app_icons (client_id, hash, type, bytes) VALUES ($1, $2, $3, $4)
     ON CONFLICT (client_id) DO UPDATE SET hash = $2, type = $3, bytes = $4`,
    [clientId, icon.hash, icon.type, icon.bytes],
  )
}

export async function deleteAppIcon(db: Queryable, clientId: string): Promise<void> {
  await db.query('DELETE FROM app_icons WHERE client_id = $1', [clientId])
}

/** Null when the app has another picture, or none. */
export async function findAppIcon({ pool }: Database, clientId: string, hash: string): Promise<AppIconRow | null> {
  const result = await pool.query<AppIconRow>({
    name: 'app-icon-find',
    text: 'SELECT hash, type, bytes FROM app_icons WHERE client_id = $1 AND hash = $2',
    values: [clientId, hash],
  })
  return result.rows[0] ?? null
}
