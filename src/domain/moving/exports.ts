import { randomUUID } from 'node:crypto'
import { insertAuditEvents } from '../../storage/audit.ts'
import { countLivingFamilies } from '../../storage/families.ts'
import type { Queryable } from '../../storage/postgres.ts'
import { listMigrations, listSnapshotParts, listSnapshotRows, withSnapshot } from '../../storage/snapshots.ts'
import { adminApiOf } from '../apps/apis.ts'
import type { Services } from '../services.ts'
import { MOVED_TABLES } from './contents.ts'
import { type ExportHeader, ExportLines, FORMAT } from './export-lines.ts'
import type { MovedColumns, MovedTable } from './moved-table.ts'
import { MOVED_APIS } from './moved-apps.ts'
import {
  LEFT_BEHIND_SECRETS,
  MOVED_LASTING_SECRETS,
  MOVED_ROOT_SECRETS,
  MOVED_SIGNING_KEYS,
  rootSecretRows,
} from './moved-secrets.ts'
import { openRow } from './sealed-rows.ts'

/** How many rows, with their parts, are read at once, and imported in one transaction. */
const PAGE = 500

export interface Exported {
  id: string
  /** How many rows there are of each table. */
  rows: Record<string, number>
  /** How many families are not over yet; they will end with the import. */
  livingFamilies: number
}

/**
 * Writes the whole portal as it is at one moment, in pieces of text that `write` takes one after the other. No more than a page is
 * held. The portal may run meanwhile; what happens after that moment is not in it.
 */
export async function exportPortal(
  services: Services,
  version: string,
  write: (text: string) => Promise<void>,
): Promise<Exported> {
  const { storage, publicUrl, clock } = services
  const lines = new ExportLines()
  const id = randomUUID()
  const madeAt = clock()
  const livingFamilies = await withSnapshot(storage.pool, async (db) => {
    const migrations = await listMigrations(db)
    const header: ExportHeader = {
      format: FORMAT,
      id,
      version,
      issuer: publicUrl,
      made_at: madeAt.toISOString(),
      migrations,
    }
    await write(lines.header(JSON.stringify(header)))
    for (const table of [MOVED_LASTING_SECRETS, MOVED_SIGNING_KEYS]) {
      for await (const text of pagesOf(services, db, table, lines)) await write(text)
    }
    for (const row of await rootSecretRows(services, db, madeAt)) await write(lines.row(MOVED_ROOT_SECRETS.table, row))
    await write(lines.page())
    for (const table of MOVED_TABLES)
      for await (const text of pagesOf(services, db, table, lines)) await write(text + lines.page())
    return countLivingFamilies(db)
  })
  await write(lines.end())
  await insertAuditEvents(storage.pool, [{ kind: 'exported', detail: id, actor: services.operator }], clock())
  return { id, rows: lines.summary().rows, livingFamilies }
}

/** The lines of a table, a page at a time: its rows, then their parts. */
async function* pagesOf(
  services: Services,
  db: Queryable,
  table: MovedTable,
  lines: ExportLines,
): AsyncGenerator<string> {
  let after: string | null = null
  for (;;) {
    const page = await listSnapshotRows(db, table, after, PAGE)
    const kept = page.filter(({ key }) => isMoved(services, table, key))
    const parts = await partsOf(
      db,
      table,
      kept.map(({ key }) => key),
    )
    const text = [...kept.map(({ row }) => lineOf(table, row)), ...parts.map(([part, row]) => lineOf(part, row))].join(
      '',
    )
    if (text !== '') yield text
    if (page.length < PAGE) return
    after = page.at(-1)?.key ?? null
  }

  function lineOf({ table: name, sealed }: MovedColumns, row: string): string {
    return lines.row(name, sealed === undefined ? row : openRow(services.secrets, sealed, row))
  }
}

async function partsOf(db: Queryable, { parts = [] }: MovedTable, keys: string[]): Promise<[MovedColumns, string][]> {
  const found: [MovedColumns, string][] = []
  if (keys.length === 0) return found
  for (const part of parts) for (const row of await listSnapshotParts(db, part, keys)) found.push([part, row])
  return found
}

/** Every portal has the built-in API, of its own issuer, and some secrets that last as long as its machine. */
function isMoved(services: Services, { table }: MovedTable, key: string): boolean {
  if (table === MOVED_APIS.table) return key !== adminApiOf(services)
  return table !== MOVED_LASTING_SECRETS.table || !(key in LEFT_BEHIND_SECRETS)
}
