import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import { after, before, suite, test } from 'node:test'
import type session from 'express-session'
import { createDatabase } from '../testing/portal/databases.ts'
import { serviceAddress } from '../testing/services/addresses.ts'
import { postgresBrowserSessions, redisBrowserSessions } from './browser-sessions.ts'
import { migrate } from './migrations.ts'
import { openPostgres } from './postgres.ts'
import { openRedis } from './redis.ts'

interface Opened {
  store: session.Store
  /** Everything the store holds, as text. */
  dump(): Promise<string>
  close(): Promise<void>
}

for (const [name, openStore] of [
  ['PostgreSQL', openPostgresStore],
  ['Redis', openRedisStore],
] as const) {
  suite(`browser sessions in ${name}`, () => {
    let opened: Opened
    before(async () => {
      opened = await openStore()
    })
    after(() => opened.close())

    const get = async (id: string) =>
      new Promise<session.SessionData | null>((resolve, reject) => {
        opened.store.get(id, (error, found) => (failed(error) ? reject(error) : resolve(found ?? null)))
      })
    const set = async (id: string, data: session.SessionData) =>
      new Promise<void>((resolve, reject) => {
        opened.store.set(id, data, (error) => (failed(error) ? reject(error) : resolve()))
      })
    const destroy = async (id: string) =>
      new Promise<void>((resolve, reject) => {
        opened.store.destroy(id, (error) => (failed(error) ? reject(error) : resolve()))
      })

    test('what is set is found under its id and no other', async () => {
      const id = randomUUID()
      await set(id, visit('Ada'))
      assert.equal((await get(id))?.identitySessionId, 'Ada')
      assert.equal(await get(randomUUID()), null)
    })

    test('what is set again replaces what was there', async () => {
      const id = randomUUID()
      await set(id, visit('Ada'))
      await set(id, visit('Grace'))
      assert.equal((await get(id))?.identitySessionId, 'Grace')
    })

    test('what is destroyed is gone, and may be destroyed again', async () => {
      const id = randomUUID()
      await set(id, visit('Ada'))
      await destroy(id)
      assert.equal(await get(id), null)
      await destroy(id)
    })

    test('what has expired is not found', async () => {
      const id = randomUUID()
      await set(id, visit('Ada', -1000))
      assert.equal(await get(id), null)
    })

    test('the store holds hashes of ids, and no id', async () => {
      const id = randomUUID()
      await set(id, visit('Ada'))
      const dump = await opened.dump()
      assert.equal(dump.includes(id), false)
      assert.equal(dump.includes(createHash('sha256').update(id).digest('base64url')), true)
    })

    test('a hash from a stolen store opens nothing', async () => {
      const id = randomUUID()
      await set(id, visit('Ada'))
      assert.equal(await get(createHash('sha256').update(id).digest('base64url')), null)
    })

    test('an id may contain any characters', async () => {
      for (const id of ['', 'a\u0000b', '\ud800', '*', 'x'.repeat(10_000)]) assert.equal(await get(id), null)
    })

    test('reading writes nothing: there is no way to touch a session', () => {
      assert.equal(opened.store.touch, undefined)
    })
  })
}

test('a session lasts as long as its cookie, whatever the time zone of the database is, and when it changes', async () => {
  const database = await createDatabase()
  await migrate(database.databaseUrl)
  const name = new URL(database.databaseUrl).pathname.slice(1)
  const inZone = async <T>(zone: string, act: (store: session.Store) => Promise<T>): Promise<T> => {
    const postgres = openPostgres(database.databaseUrl, () => {}, { connection: 15_000, query: 15_000 })
    await postgres.pool.query(`ALTER DATABASE ${name} SET TimeZone = '${zone}'`)
    await postgres.close()
    const opened = openPostgres(database.databaseUrl, () => {}, { connection: 15_000, query: 15_000 })
    try {
      return await act(postgresBrowserSessions(opened.pool, (error) => assert.fail(String(error))))
    } finally {
      await opened.close()
    }
  }
  const find = async (store: session.Store, id: string) =>
    new Promise((resolve) => store.get(id, (_error, found) => resolve(found ?? null)))
  try {
    await inZone('Pacific/Kiritimati', async (store) => {
      await new Promise((resolve) => store.set('lasts', visit('ada'), resolve))
      await new Promise((resolve) => store.set('is over', visit('ada', -60_000), resolve))
    })
    for (const zone of ['Pacific/Kiritimati', 'Pacific/Pago_Pago', 'UTC']) {
      await inZone(zone, async (store) => {
        assert.notEqual(await find(store, 'lasts'), null, zone)
        assert.equal(await find(store, 'is over'), null, zone)
      })
    }
  } finally {
    await database.drop()
  }
})

function failed(error: unknown): error is Error {
  return error !== null && error !== undefined
}

function visit(identitySessionId: string, maxAge = 60_000): session.SessionData {
  const expires = new Date(Date.now() + maxAge)
  return { cookie: { originalMaxAge: maxAge, expires, httpOnly: true, path: '/' }, identitySessionId }
}

async function openPostgresStore(): Promise<Opened> {
  const database = await createDatabase()
  await migrate(database.databaseUrl)
  const postgres = openPostgres(database.databaseUrl, () => {}, { connection: 15_000, query: 15_000 })
  return {
    store: postgresBrowserSessions(postgres.pool, (error) => assert.fail(String(error))),
    async dump() {
      const result = await postgres.pool.query<{ row: string }>('SELECT b::text AS row FROM browser_sessions b')
      return result.rows.map(({ row }) => row).join('\n')
    },
    async close() {
      await postgres.close()
      await database.drop()
    },
  }
}

async function openRedisStore(): Promise<Opened> {
  const redis = await openRedis(serviceAddress('TEST_REDIS_URL'), () => {})
  return {
    store: redisBrowserSessions(redis),
    async dump() {
      const keys = await redis.keys('gatehouse:session:*')
      return [...keys, ...(keys.length === 0 ? [] : await redis.mget(keys))].join('\n')
    },
    close: async () => redis.disconnect(),
  }
}
