import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import { after, before, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createClock, type TestClock } from '../testing/portal/clock.ts'
import { createDatabase, type TestDatabase } from '../testing/portal/databases.ts'
import { testConfig } from '../testing/portal/open-portal.ts'
import { serviceAddress } from '../testing/services/addresses.ts'
import { type ProtocolRecords, postgresProtocolRecords, redisProtocolRecords } from './protocol-records.ts'
import { migrate } from './migrations.ts'
import { openPostgres, type Postgres } from './postgres.ts'
import { openRedis, type RedisClient } from './redis.ts'

interface Store {
  protocolRecords: ProtocolRecords
  /** The same store as another process sees it. */
  elsewhere: ProtocolRecords
  /** Everything the store holds, as text. */
  dump(): Promise<string>
  /** Lets this many seconds pass for the store. */
  pass(seconds: number): Promise<void>
  close(): Promise<void>
}

for (const [name, openStore] of [
  ['PostgreSQL', () => openPostgresStore('postgres')],
  ['PostgreSQL behind PgBouncer', () => openPostgresStore('pgbouncer')],
  ['Redis', openRedisStore],
] as const) {
  suite(`protocol records in ${name}`, () => {
    let store: Store
    let protocolRecords: ProtocolRecords

    before(async () => {
      store = await openStore()
      protocolRecords = store.protocolRecords
    })
    after(() => store.close())

    test('what is put is found, unconsumed, by its kind and id', async () => {
      const [id, payload] = [randomUUID(), { scope: 'openid', nested: { list: [1, null, 'two'] } }]
      await protocolRecords.put('AuthorizationCode', id, payload, 60)
      assert.deepEqual(await protocolRecords.find('AuthorizationCode', id), { payload, consumed: false })
      assert.deepEqual(await store.elsewhere.find('AuthorizationCode', id), { payload, consumed: false })
    })

    test('a record is not found under another kind or another id', async () => {
      const id = randomUUID()
      await protocolRecords.put('AuthorizationCode', id, {}, 60)
      assert.equal(await protocolRecords.find('Interaction', id), null)
      assert.equal(await protocolRecords.find('AuthorizationCode', randomUUID()), null)
      assert.equal(await protocolRecords.findByUid('AuthorizationCode', id), null)
      assert.equal(await protocolRecords.consume('Interaction', id), false)
      await protocolRecords.delete('Interaction', id)
      assert.notEqual(await protocolRecords.find('AuthorizationCode', id), null)
    })

    test('what is put again replaces what was there', async () => {
      const id = randomUUID()
      await protocolRecords.put('Interaction', id, { step: 1 }, 60)
      await protocolRecords.put('Interaction', id, { step: 2 }, 60)
      assert.deepEqual((await protocolRecords.find('Interaction', id))?.payload, { step: 2 })
    })

    test('of fifty callers that consume a record at once, in two processes, exactly one does', async () => {
      for (let round = 0; round < 5; round++) {
        const id = randomUUID()
        await protocolRecords.put('AuthorizationCode', id, {}, 60)
        const answers = await Promise.all(
          Array.from({ length: 50 }, async (_, caller) =>
            (caller % 2 === 0 ? protocolRecords : store.elsewhere).consume('AuthorizationCode', id),
          ),
        )
        assert.equal(answers.filter(Boolean).length, 1)
        assert.equal((await protocolRecords.find('AuthorizationCode', id))?.consumed, true)
      }
    })

    test('a consumed record stays readable and consumed, also when it is put again', async () => {
      const id = randomUUID()
      await protocolRecords.put('DeviceCode', id, { state: 'pending' }, 60)
      assert.equal(await protocolRecords.consume('DeviceCode', id), true)
      assert.deepEqual(await protocolRecords.find('DeviceCode', id), { payload: { state: 'pending' }, consumed: true })
      await protocolRecords.put('DeviceCode', id, { state: 'done' }, 60)
      assert.deepEqual(await protocolRecords.find('DeviceCode', id), { payload: { state: 'done' }, consumed: true })
      assert.equal(await protocolRecords.consume('DeviceCode', id), false)
    })

    test('a record that was never put cannot be consumed', async () => {
      assert.equal(await protocolRecords.consume('AuthorizationCode', randomUUID()), false)
    })

    test('of fifty callers that put one id once, in two processes, exactly one does', async () => {
      const id = randomUUID()
      const answers = await Promise.all(
        Array.from({ length: 50 }, async (_, caller) =>
          (caller % 2 === 0 ? protocolRecords : store.elsewhere).putOnce('ReplayDetection', id, { caller }, 60),
        ),
      )
      assert.equal(answers.filter(Boolean).length, 1)
      const winner = answers.indexOf(true)
      assert.deepEqual((await protocolRecords.find('ReplayDetection', id))?.payload, { caller: winner })
    })

    test('a uid leads to its record, within its kind', async () => {
      const [id, uid] = [randomUUID(), randomUUID()]
      await protocolRecords.put('Session', id, { who: 'Ada' }, 60, uid)
      assert.deepEqual((await protocolRecords.findByUid('Session', uid))?.payload, { who: 'Ada' })
      assert.equal(await protocolRecords.findByUid('Interaction', uid), null)
      assert.equal(await protocolRecords.findByUid('Session', id), null)
      assert.equal(await protocolRecords.find('Session', uid), null)
    })

    test('a uid follows its record to a new id', async () => {
      const uid = randomUUID()
      const [former, later] = [randomUUID(), randomUUID()]
      await protocolRecords.put('Session', former, { visit: 1 }, 60, uid)
      await protocolRecords.delete('Session', former)
      await protocolRecords.put('Session', later, { visit: 2 }, 60, uid)
      assert.deepEqual((await protocolRecords.findByUid('Session', uid))?.payload, { visit: 2 })
    })

    test('what is deleted is gone for every question', async () => {
      const [id, uid] = [randomUUID(), randomUUID()]
      await protocolRecords.put('Session', id, {}, 60, uid)
      await protocolRecords.delete('Session', id)
      assert.equal(await protocolRecords.find('Session', id), null)
      assert.equal(await protocolRecords.findByUid('Session', uid), null)
      assert.equal(await protocolRecords.consume('Session', id), false)
      await protocolRecords.delete('Session', id)
    })

    test('a consumed record that was deleted leaves no mark on the next with its id', async () => {
      const id = randomUUID()
      await protocolRecords.put('AuthorizationCode', id, {}, 60)
      await protocolRecords.consume('AuthorizationCode', id)
      await protocolRecords.delete('AuthorizationCode', id)
      await protocolRecords.put('AuthorizationCode', id, {}, 60)
      assert.equal((await protocolRecords.find('AuthorizationCode', id))?.consumed, false)
      assert.equal(await protocolRecords.consume('AuthorizationCode', id), true)
    })

    test('what has expired is gone for every question, and its id may be put once more', async () => {
      const [expiring, consumed, marked, uid] = [randomUUID(), randomUUID(), randomUUID(), randomUUID()]
      await protocolRecords.put('AuthorizationCode', expiring, {}, 1, uid)
      await protocolRecords.put('AuthorizationCode', consumed, {}, 1)
      await protocolRecords.consume('AuthorizationCode', consumed)
      await protocolRecords.putOnce('ReplayDetection', marked, {}, 1)
      assert.notEqual(await protocolRecords.find('AuthorizationCode', expiring), null)
      await store.pass(1)

      for (const id of [expiring, consumed]) {
        assert.equal(await protocolRecords.find('AuthorizationCode', id), null)
        assert.equal(await protocolRecords.consume('AuthorizationCode', id), false)
      }
      assert.equal(await protocolRecords.findByUid('AuthorizationCode', uid), null)
      assert.equal(await protocolRecords.putOnce('ReplayDetection', marked, { again: true }, 60), true)
      assert.equal(await protocolRecords.putOnce('ReplayDetection', marked, {}, 60), false)
      assert.deepEqual(await protocolRecords.find('ReplayDetection', marked), {
        payload: { again: true },
        consumed: false,
      })
    })

    test('a record that was consumed, has expired and is put again is a new one', async () => {
      const id = randomUUID()
      await protocolRecords.put('DeviceCode', id, {}, 1)
      await protocolRecords.consume('DeviceCode', id)
      await store.pass(1)
      await protocolRecords.put('DeviceCode', id, {}, 60)
      assert.equal((await protocolRecords.find('DeviceCode', id))?.consumed, false)
      assert.equal(await protocolRecords.consume('DeviceCode', id), true)
    })

    test('what was put again lives by its new time, and stays consumed for all of it', async () => {
      const [id, consumed] = [randomUUID(), randomUUID()]
      await protocolRecords.put('Session', id, {}, 1)
      await protocolRecords.put('Session', id, {}, 60)
      await protocolRecords.put('DeviceCode', consumed, {}, 1)
      await protocolRecords.consume('DeviceCode', consumed)
      await protocolRecords.put('DeviceCode', consumed, {}, 60)
      await store.pass(1)
      assert.equal((await protocolRecords.find('Session', id))?.consumed, false)
      assert.equal((await protocolRecords.find('DeviceCode', consumed))?.consumed, true)
      assert.equal(await protocolRecords.consume('DeviceCode', consumed), false)
    })

    test('pruning takes away what has expired and nothing that lives', async () => {
      const [living, expired] = [randomUUID(), randomUUID()]
      await protocolRecords.put('Session', living, {}, 60)
      await protocolRecords.put('Session', expired, { mark: 'expired-and-pruned' }, 1)
      await store.pass(1)
      await protocolRecords.prune(100)
      assert.equal((await store.dump()).includes('expired-and-pruned'), false)
      assert.notEqual(await protocolRecords.find('Session', living), null)
      assert.equal(await protocolRecords.prune(100), 0)
    })

    test('a payload may hold NUL, halves of characters and any key, as clients send them', async () => {
      const id = randomUUID()
      const payload = {
        state: 'a\u0000b',
        lone: 'x\ud800y\udfff',
        emoji: '\u{1f510}',
        quote: `'"\\;--$1`,
        'k\u0000ey\ud83d': 'value',
        large: 'x'.repeat(100_000),
      }
      await protocolRecords.put('Interaction', id, payload, 60)
      assert.deepEqual((await protocolRecords.find('Interaction', id))?.payload, payload)
      const own = JSON.parse('{"__proto__": {"admin": true}}') as object
      await protocolRecords.put('Interaction', id, own, 60)
      assert.equal(JSON.stringify((await protocolRecords.find('Interaction', id))?.payload), JSON.stringify(own))
    })

    test('an id may contain any characters', async () => {
      for (const id of ['', 'a\u0000b', '\ud800', '{}*?[]:', 'x'.repeat(10_000), `' OR 1=1 --`]) {
        assert.equal(await protocolRecords.find('AuthorizationCode', id), null)
        await protocolRecords.put('AuthorizationCode', id, { length: id.length }, 60, id)
        assert.deepEqual((await protocolRecords.find('AuthorizationCode', id))?.payload, { length: id.length })
        assert.deepEqual((await protocolRecords.findByUid('AuthorizationCode', id))?.payload, { length: id.length })
        await protocolRecords.delete('AuthorizationCode', id)
      }
    })

    test('the store holds hashes of ids, and no id', async () => {
      const [id, uid, replayed] = [randomUUID(), randomUUID(), randomUUID()]
      await protocolRecords.put('AuthorizationCode', id, { scope: 'openid' }, 60, uid)
      await protocolRecords.putOnce('ReplayDetection', replayed, {}, 60)
      await protocolRecords.consume('AuthorizationCode', id)
      const dump = await store.dump()
      for (const secret of [id, uid, replayed]) assert.equal(dump.includes(secret), false)
      assert.equal(dump.includes(createHash('sha256').update(id).digest('base64url')), true)
    })
  })
}

test('what a Redis keeps of a consumed record goes away with the record', async () => {
  const redis = await openTestRedis()
  const protocolRecords = redisProtocolRecords(redis)
  const id = randomUUID()
  await protocolRecords.put('AuthorizationCode', id, {}, 60, randomUUID())
  await protocolRecords.consume('AuthorizationCode', id)
  const keys = await redis.keys(`gatehouse:handshake:*${createHash('sha256').update(id).digest('base64url')}*`)
  assert.equal(keys.length, 2)
  for (const key of keys) {
    const left = await redis.pttl(key)
    assert.ok(left > 0 && left <= 60_000, `${key} ${left}`)
  }
  redis.disconnect()
})

test('a Redis Cluster keeps a record and its mark on one node', async () => {
  const redis = await openTestRedis()
  const protocolRecords = redisProtocolRecords(redis)
  const id = randomUUID()
  await protocolRecords.put('AuthorizationCode', id, {}, 60)
  await protocolRecords.consume('AuthorizationCode', id)
  const keys = await redis.keys(`gatehouse:handshake:*${createHash('sha256').update(id).digest('base64url')}*`)
  const tags = keys.map((key) => /\{(.+?)\}/.exec(key)?.[1])
  assert.equal(new Set(tags).size, 1)
  assert.notEqual(tags[0], undefined)
  redis.disconnect()
})

async function openPostgresStore(kind: 'postgres' | 'pgbouncer'): Promise<Store> {
  const database: TestDatabase = await createDatabase(kind)
  await migrate(database.databaseUrl)
  const clock: TestClock = createClock()
  const postgres = [open(database), open(database)] as [Postgres, Postgres]
  return {
    protocolRecords: postgresProtocolRecords(postgres[0].pool, clock),
    elsewhere: postgresProtocolRecords(postgres[1].pool, clock),
    async dump() {
      const result = await postgres[0].pool.query<{ row: string }>('SELECT h::text AS row FROM handshakes h')
      return result.rows.map(({ row }) => row).join('\n')
    },
    pass: async (seconds) => clock.advance(seconds),
    async close() {
      for (const each of postgres) await each.close()
      await database.drop()
    },
  }
}

async function openRedisStore(): Promise<Store> {
  const redis = [await openTestRedis(), await openTestRedis()] as const
  return {
    protocolRecords: redisProtocolRecords(redis[0]),
    elsewhere: redisProtocolRecords(redis[1]),
    async dump() {
      const keys = await redis[0].keys('gatehouse:*')
      const values = keys.length === 0 ? [] : await redis[0].mget(keys.filter((key) => !key.includes(':session:')))
      return [...keys, ...values].join('\n')
    },
    // Redis keeps its own time, to the millisecond.
    pass: async (seconds) => sleep(seconds * 1000 + 5),
    async close() {
      for (const each of redis) each.disconnect()
    },
  }
}

function open(database: TestDatabase): Postgres {
  const { databaseUrl, preparedStatements } = testConfig(database)
  return openPostgres(databaseUrl as string, () => {}, { connection: 15_000, query: 15_000 }, { preparedStatements })
}

async function openTestRedis(): Promise<RedisClient> {
  return openRedis(serviceAddress('TEST_REDIS_URL'), () => {})
}
