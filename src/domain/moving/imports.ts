import { z } from 'zod'
import { insertAuditEvents } from '../../storage/audit.ts'
import { deleteLastingSecrets } from '../../storage/lasting-secrets.ts'
import { isUniqueViolation, type Queryable, transaction } from '../../storage/postgres.ts'
import {
  advancePortalImport,
  countContents,
  finishPortalImport,
  insertPortalImport,
  listPortalImports,
  lockPortalImports,
} from '../../storage/portal-imports.ts'
import { deleteRootSecrets } from '../../storage/root-secrets.ts'
import { deleteAllSigningKeys } from '../../storage/signing-keys.ts'
import { insertSnapshotRows, listMigrations } from '../../storage/snapshots.ts'
import { adminApiOf } from '../apps/apis.ts'
import { endIn } from '../endings/endings.ts'
import { awaitReloads } from '../keys/reloads.ts'
import { Refused } from '../refused.ts'
import type { Services } from '../services.ts'
import { MOVED_COLUMNS } from './contents.ts'
import { type ExportEnd, type ExportHeader, readExportLines } from './export-lines.ts'
import { sealRow } from './sealed-rows.ts'

/** A file that is whole and fits this portal. */
export interface CheckedExport {
  header: ExportHeader
  end: ExportEnd
}

/**
 * Reads a whole file without importing anything. @throws Refused for one that is damaged or incomplete, or was made by another
 * version
 */
export async function checkExport({ storage }: Services, lines: AsyncIterable<string>): Promise<CheckedExport> {
  let header: ExportHeader | null = null
  let end: ExportEnd | null = null
  for await (const line of readExportLines(lines)) {
    if (line.kind === 'header') {
      ;({ header } = line)
      checkMigrations(header, await listMigrations(storage.pool))
    }
    if (line.kind === 'row' && !MOVED_COLUMNS.has(line.table))
      throw new Refused(`no import takes rows of ${line.table}`)
    if (line.kind === 'end') ({ end } = line)
  }
  return { header: header as ExportHeader, end: end as ExportEnd }
}

/** Rows mean the same only in the same tables. */
function checkMigrations({ migrations, version }: ExportHeader, here: string[]): void {
  if (migrations.some((name) => !here.includes(name)))
    throw new Refused(`the file was made by a newer version of Gatehouse (${version}): update this portal first`)
  if (here.some((name) => !migrations.includes(name)))
    throw new Refused(
      `the file was made by an older version of Gatehouse (${version}): update the old portal and export again, or import the file with that version and update afterwards`,
    )
}

/** What became of a file. */
export type Imported =
  /** `resumed`: an import of it had been interrupted. The families ended with the import, by now or before. */
  { kind: 'imported'; resumed: boolean; endedFamilies: number } | { kind: 'imported-before'; at: Date }

/**
 * Imports a file into an empty portal, which may be running. An import that was interrupted goes on behind the last page that is
 * here. `lines` is the file that was checked. Every running process has the keys of the old portal before the first identity is here.
 * @throws Refused where the portal is not empty, or another import is running
 */
export async function importPortal(
  services: Services,
  { header }: CheckedExport,
  lines: AsyncIterable<string>,
): Promise<Imported> {
  const begun = await transaction(services.storage.pool, async (db) => begin(services, db, header))
  if (begun.finishedAt !== null) return { kind: 'imported-before', at: begun.finishedAt }

  let endedFamilies = 0
  let rows = new Map<string, string[]>()
  for await (const line of readExportLines(lines)) {
    if (line.kind === 'header' && line.header.id !== header.id) throw new Refused('the file has changed meanwhile')
    if (line.kind === 'row') {
      const ofTable = rows.get(line.table)
      if (ofTable === undefined) rows.set(line.table, [line.row])
      else ofTable.push(line.row)
    }
    if (line.kind !== 'page') continue
    const living = livingIn(rows.get('families') ?? [])
    endedFamilies += living.length
    if (line.page > begun.pages) await importPage(services, header, line.page, rows, living)
    if (line.page === KEYS_PAGE) await awaitReloads(services)
    rows = new Map()
  }
  await transaction(services.storage.pool, async (db) => {
    const now = services.clock()
    if (!(await finishPortalImport(db, header.id, now))) throw isRunning()
    await insertAuditEvents(db, [{ kind: 'imported', detail: header.id, actor: services.operator }], now)
  })
  return { kind: 'imported', resumed: begun.pages > 0, endedFamilies }
}

const KEYS_PAGE = 1

function isRunning(): Refused {
  return new Refused('another import of this file is running', 'conflict')
}

/** @returns how far an import of this file has come */
async function begin(
  services: Services,
  db: Queryable,
  header: ExportHeader,
): Promise<{ pages: number; finishedAt: Date | null }> {
  await lockPortalImports(db)
  const imports = await listPortalImports(db)
  const known = imports.find(({ id }) => id === header.id)
  if (known !== undefined) return known
  if (imports.some(({ finishedAt }) => finishedAt === null))
    throw new Refused('an import of another file was interrupted here: run that again, or start with a new database')

  const contents = await countContents(db, adminApiOf(services))
  const found = Object.entries(contents).filter(([, count]) => count > 0)
  if (found.length > 0)
    throw new Refused(
      `this portal is not empty (${found.map(([name, count]) => `${name}: ${count}`).join(', ')}); a file is imported into a new one`,
      'conflict',
    )
  await insertPortalImport(db, header, services.clock())
  return { pages: 0, finishedAt: null }
}

/**
 * Imports one page in one transaction. The families that were not over on the old machine end in it as families end: with audit
 * events and notifications.
 */
async function importPage(
  services: Services,
  header: ExportHeader,
  page: number,
  rows: ReadonlyMap<string, string[]>,
  living: string[],
): Promise<void> {
  const ending = { cause: 'moved', clientInfo: null } as const
  await transaction(services.storage.pool, async (db) => {
    if (!(await advancePortalImport(db, header.id, page))) throw isRunning()
    if (page === KEYS_PAGE) await deleteOwnKeys(db, rows)
    for (const [table, those] of rows) await insertRows(services, db, header, table, those)
    if (living.length > 0) await endIn(services, db, { families: { ids: living } }, ending, services.clock())
  }).catch((error: unknown) => {
    if (!isUniqueViolation(error)) throw error
    throw new Refused(
      `what is in the file was made here meanwhile (${(error as Error).message}): start with a new database`,
      'conflict',
    )
  })
}

/** The keys of the file take the place of those that this portal has made, with which it has signed nothing for anyone. */
async function deleteOwnKeys(db: Queryable, rows: ReadonlyMap<string, string[]>): Promise<void> {
  const idsIn = (table: string, key: string) =>
    (rows.get(table) ?? []).map((row) => z.looseObject({ [key]: z.string() }).parse(JSON.parse(row))[key] as string)
  await deleteLastingSecrets(db, idsIn('lasting_secrets', 'name'))
  await deleteRootSecrets(db, idsIn('root_secrets', 'id'))
  await deleteAllSigningKeys(db)
}

async function insertRows(
  services: Services,
  db: Queryable,
  header: ExportHeader,
  table: string,
  rows: string[],
): Promise<void> {
  const columns = MOVED_COLUMNS.get(table)
  if (columns === undefined) throw new Refused(`no import takes rows of ${table}`)
  const { sealed } = columns
  const sealedRows = sealed === undefined ? rows : rows.map((row) => sealRow(services.secrets, sealed, row))
  const ours = table === 'app_apis' ? rows.map((row) => ofThisIssuer(services, header, row)) : sealedRows
  await insertSnapshotRows(db, columns, `[${ours.join(',')}]`)
}

/** Apps that had the built-in API of the old issuer have that of this one. */
function ofThisIssuer(services: Services, { issuer }: ExportHeader, row: string): string {
  const grant = z.looseObject({ identifier: z.string() }).parse(JSON.parse(row))
  const isBuiltIn = grant.identifier === adminApiOf({ publicUrl: issuer })
  return isBuiltIn ? JSON.stringify({ ...grant, identifier: adminApiOf(services) }) : row
}

/** The ids of the families among these rows that were not over. */
function livingIn(rows: string[]): string[] {
  const families = rows.map((row) => familyShape.parse(JSON.parse(row)))
  return families.filter(({ ended_at: endedAt }) => endedAt === null).map(({ id }) => id)
}

const familyShape = z.looseObject({ id: z.string(), ended_at: z.string().nullable() })
