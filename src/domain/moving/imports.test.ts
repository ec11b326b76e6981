import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { notesApp } from '../../testing/portal/apps.ts'
import { addFamilies, addPeople } from '../../testing/portal/crowd.ts'
import { openTestPortal, type TestPortal } from '../../testing/portal/open-portal.ts'
import { createApp } from '../apps/apps.ts'
import { addKeptKeys } from '../keys/reloaded-keys.ts'
import { MOVED_COLUMNS } from './contents.ts'
import { ExportLines } from './export-lines.ts'
import { exportPortal, type Exported } from './exports.ts'
import { checkExport, importPortal, type Imported } from './imports.ts'

const PEOPLE = 1200
const OTHER_MACHINE = { GATEHOUSE_SECRET: 'the root secret of another machine of 32 bytes' }

let old: TestPortal
let lines: string[]
let exported: Exported

before(async () => {
  old = await openTestPortal()
  await createApp(old, 'notes', notesApp)
  await addPeople(old.storage.pool, PEOPLE, old.clock())
  const families = { from: 0, count: PEOPLE }
  await addFamilies(old.storage.pool, { families, people: PEOPLE, clientIds: ['notes'], endedPercent: 40 }, old.clock())
  await old.storage.pool.query(
    `INSERT INTO devices (identity_id, hash, first_seen_at, last_seen_at, browser, address)
     SELECT id, sha256(id::text::bytea), created_at, created_at, 'Firefox', '192.0.2.1' FROM identities`,
  )
  // What no secret opens goes along as it is: a second step that cannot be taken is still asked for.
  await old.storage.pool.query(
    `INSERT INTO totp_keys (id, identity_id, name, encrypted_secret, last_step, created_at)
     SELECT gen_random_uuid(), id, 'Lost', 'not encrypted', 1, created_at FROM identities LIMIT 1`,
  )
  let text = ''
  exported = await exportPortal(old, '1.2.3', async (piece) => void (text += piece))
  lines = text.trimEnd().split('\n')
})
after(() => old.close())

async function* given(these: string[]): AsyncGenerator<string> {
  yield* these
}

async function importLines(portal: TestPortal, these: string[], from = given(these)): Promise<Imported> {
  return importPortal(portal, await checkExport(portal, given(these)), from)
}

/** The rows of every moved table, without what an import changes. */
async function contentsOf({ storage }: TestPortal): Promise<Record<string, unknown[]>> {
  const contents: Record<string, unknown[]> = {}
  for (const { table, columns, sealed } of MOVED_COLUMNS.values()) {
    if (table === 'lasting_secrets' || table === 'root_secrets') continue
    const kept = columns.filter((column) => column !== sealed?.column && !(table === 'families' && isEnd(column)))
    const own = table === 'apis' ? `WHERE identifier NOT LIKE '%/api/admin/v1'` : ''
    const { rows } = await storage.pool.query<{ row: unknown }>(
      `SELECT to_jsonb(r) AS row FROM (SELECT ${kept.join(', ')} FROM ${table} ${own}) r ORDER BY to_jsonb(r)::text`,
    )
    contents[table] = rows.map(({ row }) => row)
  }
  return contents
}

function isEnd(column: string): boolean {
  return column === 'ended_at' || column === 'end_cause'
}

test('an import that was interrupted at any page goes on, and ends in the state of one that was not', async () => {
  const portal = await openTestPortal('postgres', OTHER_MACHINE)
  try {
    const pages = lines.filter((line) => line.startsWith('{"page":')).length
    assert.ok(pages > 6)
    for (const stop of [1, 3, 4, pages - 1]) {
      const until = lines.indexOf(`{"page":${stop}}`) + 10
      async function* interrupted() {
        yield* lines.slice(0, until)
        throw new Error('the machine was switched off')
      }
      await assert.rejects(importLines(portal, lines, interrupted()), /switched off/)
      // An identity that was imported has everything that belongs to it.
      const { rows } = await portal.storage.pool.query(
        'SELECT FROM identities i WHERE NOT EXISTS (SELECT FROM devices d WHERE d.identity_id = i.id)',
      )
      assert.equal(rows.length, 0)
    }
    const imported = await importLines(portal, lines)
    assert.deepEqual(imported, { kind: 'imported', resumed: true, endedFamilies: exported.livingFamilies })
    assert.ok(exported.livingFamilies > 500)
    assert.deepEqual(await contentsOf(portal), await contentsOf(old))
    const lost = await portal.storage.pool.query('SELECT encrypted_secret AS secret FROM totp_keys')
    assert.deepEqual(lost.rows, [{ secret: 'not encrypted' }])
    const { rows } = await portal.storage.pool.query(
      `SELECT end_cause AS cause, count(*)::int FROM families WHERE end_cause = 'moved' OR ended_at IS NULL GROUP BY 1`,
    )
    assert.deepEqual(rows, [{ cause: 'moved', count: exported.livingFamilies }])

    assert.equal((await importLines(portal, lines)).kind, 'imported-before')

    // What has moved once moves again, with the keys of both machines.
    await addKeptKeys(portal)
    let onward = ''
    await exportPortal(portal, '1.2.3', async (piece) => void (onward += piece))
    assert.equal(onward.match(/^\{"root_secrets":/gm)?.length, 2)
  } finally {
    await portal.close()
  }
})

/** The file with this header, otherwise as it was made. */
function withHeader(change: object): string[] {
  const made = new ExportLines()
  const header = JSON.parse(lines[0] as string) as { gatehouse_export: object }
  return [
    made.header(JSON.stringify({ ...header.gatehouse_export, ...change })),
    ...lines.slice(1, -1).map((line) => {
      const [, name, json] = /^\{"(\w+)":(.*)\}$/s.exec(line) as unknown as [string, string, string]
      return name === 'page' ? made.page() : made.row(name, json)
    }),
    made.end(),
  ].map((line) => line.trimEnd())
}

test('a file that does not fit, is not whole or was changed is refused, and changes nothing', async () => {
  const portal = await openTestPortal('postgres', OTHER_MACHINE)
  try {
    const migrations = (JSON.parse(lines[0] as string) as { gatehouse_export: { migrations: string[] } })
      .gatehouse_export.migrations
    const changed = lines.map((line) => line.replace('"person7"', '"person8"'))
    assert.notDeepEqual(changed, lines)
    const cases: [RegExp, string[]][] = [
      [
        /newer version of Gatehouse \(9\.0\.0\): update this portal first/,
        withHeader({ format: 2, version: '9.0.0', further: 1 }),
      ],
      [/newer version of Gatehouse/, withHeader({ migrations: [...migrations, '29991231000000_later'] })],
      [/older version of Gatehouse \(1\.2\.3\)/, withHeader({ migrations: migrations.slice(0, -1) })],
      [/incomplete: its end is missing/, lines.slice(0, -1)],
      [/incomplete/, []],
      [/damaged/, lines.filter((_, index) => index !== 100)],
      [/damaged/, changed],
      [/damaged/, lines.slice(1)],
      [/damaged/, [...lines, lines[1] as string]],
      [/damaged/, ['{"identities": [] }', 'x']],
    ]
    const before = await contentsOf(portal)
    for (const [refusal, these] of cases) await assert.rejects(importLines(portal, these), refusal)
    assert.deepEqual(await contentsOf(portal), before)
  } finally {
    await portal.close()
  }
})

test('a file is imported into an empty portal, and one import runs at a time', async () => {
  const portal = await openTestPortal('postgres', OTHER_MACHINE)
  try {
    await addPeople(portal.storage.pool, 3, portal.clock())
    await assert.rejects(importLines(portal, lines), /this portal is not empty \(identities: 3\)/)
    await portal.storage.pool.query('DELETE FROM identities')

    const both = await Promise.allSettled([importLines(portal, lines), importLines(portal, lines)])
    const refused = both.filter((each) => each.status === 'rejected')
    assert.equal(refused.length, 1)
    assert.match(String(refused[0]?.reason), /another import of this file is running/)

    await portal.storage.pool.query('UPDATE portal_imports SET finished_at = NULL')
    const other = withHeader({ id: '11111111-1111-4111-8111-111111111111' })
    await assert.rejects(importLines(portal, other), /an import of another file was interrupted here/)
  } finally {
    await portal.close()
  }
})
