import pg from 'pg'
import { expect, test } from './demo.ts'
import { travel } from './journey.ts'

test.use({ storage: 'postgres+redis' })

test('the whole journey on PostgreSQL and Redis', async ({ page, demo }) => {
  const newcomer = { username: 'grace', email: 'grace@example.test', password: 'a moth in relay seventy, panel F' }
  await travel(page, demo, newcomer)

  const database = new pg.Client({ connectionString: demo.databaseUrl ?? '' })
  await database.connect()
  const { rows } = await database.query(
    `SELECT (SELECT count(*)::int FROM families) AS families, (SELECT count(*)::int FROM handshakes) AS handshakes,
       (SELECT count(*)::int FROM browser_sessions) AS "browserSessions"`,
  )
  await database.end()
  // Short-lived records are in Redis, everything that must last is in PostgreSQL.
  expect(rows).toEqual([{ families: 2, handshakes: 0, browserSessions: 0 }])
})
