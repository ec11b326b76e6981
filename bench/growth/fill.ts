import pg from 'pg'
import { addFamilies, addPeople, peopleOf } from '../../src/testing/portal/crowd.ts'
import { say } from '../output.ts'
import { withoutIndexes } from './indexes.ts'

/** Families in one statement. */
const STEP = 250_000

/** Puts people, their browsers and this many active families of these apps into a portal's database. */
export async function fill(databaseUrl: string, families: number, clientIds: string[]): Promise<void> {
  const db = new pg.Client({ connectionString: databaseUrl })
  // The server may close an idle connection; the next query then fails with the error.
  db.on('error', () => {})
  await db.connect()
  try {
    await db.query(`SET maintenance_work_mem = '512MB'`)
    await withoutIndexes(db, ['identities', 'identity_sessions', 'families'], async () => {
      const now = new Date()
      const people = peopleOf(families)
      await addPeople(db, people, now)
      for (let from = 0; from < families; from += STEP) {
        const count = Math.min(STEP, families - from)
        await addFamilies(db, { families: { from, count }, people, clientIds, endedPercent: 0 }, now)
        say(`  ${from + count} of ${families} families`)
      }
    })
  } finally {
    await db.end()
  }
}
