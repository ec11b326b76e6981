import type { Queryable } from './postgres.ts'

/** The encrypted secret of this name; null before the first. */
export async function findLastingSecret(db: Queryable, name: string): Promise<string | null> {
  const result = await db.query<{ encrypted: string }>('SELECT encrypted FROM lasting_secrets WHERE name = $1', [name])
  return result.rows[0]?.encrypted ?? null
}

export async function listLastingSecrets(db: Queryable): Promise<{ name: string; encrypted: string }[]> {
  const result = await db.query<{ name: string; encrypted: string }>(
    'SELECT name, encrypted FROM lasting_secrets ORDER BY name',
  )
  return result.rows
}

/** Does nothing when there is one: the first of several processes wins. */
export async function insertLastingSecret(db: Queryable, name: string, encrypted: string): Promise<void> {
  await db.query('INSERT INTO lasting_secrets (name, encrypted) VALUES ($1, $2) ON CONFLICT DO NOTHING', [
    name,
    encrypted,
  ])
}

/** Replaces its encryption, unless another process has done so. */
export async function updateLastingSecret(
  db: Queryable,
  name: string,
  { from, to }: { from: string; to: string },
): Promise<void> {
  await db.query('UPDATE lasting_secrets SET encrypted = $3 WHERE name = $1 AND encrypted = $2', [name, from, to])
}

/** Deletes those of these names, in a transaction that inserts others. */
export async function deleteLastingSecrets(db: Queryable, names: string[]): Promise<void> {
  await db.query('DELETE FROM lasting_secrets WHERE name = ANY ($1)', [names])
}
