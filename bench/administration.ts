import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { readConfig } from '../src/config.ts'
import { createApp } from '../src/domain/apps/apps.ts'
import { createLogger } from '../src/logger.ts'
import { openServices } from '../src/main/services.ts'
import { OPERATOR_TIMEOUT_MS } from '../src/storage/postgres.ts'
import { notesApp } from '../src/testing/portal/apps.ts'
import { measureReads } from './administration/measurement.ts'
import { clientIdsOf, populate, type Population } from './administration/population.ts'
import { knownIn } from './administration/questions.ts'
import { describeAdministration, holds } from './administration/report.ts'
import { createDatabase } from './database.ts'
import { withoutIndexes } from './growth/indexes.ts'
import { describeMachine } from './machine.ts'
import type { Options } from './options.ts'
import { publish, say } from './output.ts'
import { withStores } from './stores.ts'

const FULL: Population = {
  people: 1_000_000,
  families: 10_000_000,
  apps: 200,
  groups: 1000,
  groupsEach: 3,
  events: 10_000_000,
}
const QUICK: Population = { people: 50_000, families: 250_000, apps: 50, groups: 200, groupsEach: 3, events: 500_000 }

const FILLED = ['identities', 'identity_sessions', 'families', 'groups', 'group_members', 'audit_events']

/** What the lists and searches of operators cost the database of a large installation. @returns the exit code */
export async function runAdministration(options: Options): Promise<number> {
  const population = {
    ...(options.quick ? QUICK : FULL),
    ...(options.families === null ? {} : { families: options.families }),
  }
  return withStores(false, async ({ postgres, server }) => {
    const { url } = await createDatabase(postgres.url)
    const services = await openServices(
      readConfig({ DATABASE_URL: url, GATEHOUSE_SECRET: randomBytes(48).toString('base64url') }),
      createLogger('silent'),
      undefined,
      OPERATOR_TIMEOUT_MS,
    )
    const db = new pg.Client({ connectionString: url })
    await db.connect()
    try {
      for (const clientId of clientIdsOf(population)) await createApp(services, clientId, notesApp)
      await db.query(`SET maintenance_work_mem = '1GB'`)
      await db.query('SET synchronous_commit = off')
      await withoutIndexes(db, FILLED, async () => populate(db, population, new Date()))
      await db.query('VACUUM (ANALYZE)')
      say('measuring')
      const answered = await measureReads(services, db, await knownIn(db))
      const machine = describeMachine(server.words, null, 'not pinned')
      publish(options, { machine, population, answered }, () => describeAdministration(machine, population, answered))
      return answered.every(holds) ? 0 : 1
    } finally {
      await db.end()
      await services.storage.close()
    }
  })
}
