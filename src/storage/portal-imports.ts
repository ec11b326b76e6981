import type { PortalImport as PortalImportRow } from './client/client.ts'
import type { Queryable } from './postgres.ts'

export type { PortalImportRow }

/** Lets one import of a file begin at a time, until the transaction ends. */
export async function lockPortalImports(db: Queryable): Promise<void> {
  await db.query('LOCK TABLE portal_imports IN SHARE ROW EXCLUSIVE MODE')
}

/** The files that were imported here, the oldest first. */
export async function listPortalImports(db: Queryable): Promise<PortalImportRow[]> {
  const result = await db.query<PortalImportRow>(
    `SELECT id, issuer, version, pages, started_at AS "startedAt", finished_at AS "finishedAt" FROM portal_imports
     ORDER BY started_at, id`,
  )
  return result.rows
}

export async function insertPortalImport(
  db: Queryable,
  { id, issuer, version }: Pick<PortalImportRow, 'id' | 'issuer' | 'version'>,
  now: Date,
): Promise<void> {
  await db.query('INSERT INTO portal_imports (id, issuer, version, started_at) VALUES ($1, $2, $3, $4)', [
    id,
    issuer,
    version,
    now,
  ])
}

/** True for the one transaction that imports this page of a file, and only after the page before it. */
export async function advancePortalImport(db: Queryable, id: string, page: number): Promise<boolean> {
  const result = await db.query(
    'UPDATE portal_imports SET pages = $2 WHERE id = $1 AND pages = $2 - 1 AND finished_at IS NULL',
    [id, page],
  )
  return result.rowCount === 1
}

/** True for the one call that finished it. */
export async function finishPortalImport(db: Queryable, id: string, now: Date): Promise<boolean> {
  const result = await db.query('UPDATE portal_imports SET finished_at = $2 WHERE id = $1 AND finished_at IS NULL', [
    id,
    now,
  ])
  return result.rowCount === 1
}

/** How many of each thing there are that an import brings; of APIs, those beside the built-in one. Counting ends at 1000. */
export async function countContents(db: Queryable, builtInApi: string): Promise<Record<string, number>> {
  const count = (from: string) => `(SELECT count(*)::int FROM (SELECT FROM ${from} LIMIT 1000) few)`
  const result = await db.query<Record<string, number>>(
    `SELECT ${count('identities')} AS identities, ${count('groups')} AS groups, ${count('apps')} AS apps,
       ${count('apis WHERE identifier <> $1')} AS "APIs", ${count('invitations')} AS invitations,
       ${count('registration_domains')} AS "registration domains"`,
    [builtInApi],
  )
  return result.rows[0] ?? {}
}
