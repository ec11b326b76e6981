import type { Queryable } from './postgres.ts'

/** Inserts a row whose columns have the names of its fields, in snake case. @throws a unique or foreign key violation */
export async function insertRow(db: Queryable, table: string, row: object): Promise<void> {
  const values = Object.values(row)
  const places = values.map((_, index) => `$${index + 1}`)
  const columns = Object.keys(row).map(columnOf)
  await db.query(`INSERT INTO ${table} (${columns.join(', ')}) VALUES (${places.join(', ')})`, values)
}

/** Changes the row of this key, and returns these columns of it; null when there is none. */
export async function updateRow<Row extends object>(
  db: Queryable,
  table: string,
  [key, value]: [string, string],
  change: Partial<Row>,
  columns: string,
): Promise<Row | null> {
  const changes = Object.entries(change)
  const set = changes.map(([field], index) => `${columnOf(field)} = $${index + 2}`)
  const result = await db.query<Row>(`UPDATE ${table} SET ${set.join(', ')} WHERE ${key} = $1 RETURNING ${columns}`, [
    value,
    ...changes.map(([, changed]) => changed),
  ])
  return result.rows[0] ?? null
}

function columnOf(field: string): string {
  return field.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}
