import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { openServices } from '../main/services.ts'
import type { Services } from '../domain/services.ts'
import { createLogger } from '../logger.ts'
import { createDatabase, type TestDatabase } from '../testing/portal/databases.ts'
import { standBefore } from '../testing/network/outage.ts'
import { testConfig } from '../testing/portal/open-portal.ts'
import type { Counters } from './counters.ts'

for (const kind of ['postgres', 'pgbouncer', 'postgres+redis'] as const) {
  describe(`counters in ${kind}`, () => {
    let database: TestDatabase
    let portals: Services[]
    let here: Counters
    let there: Counters

    before(async () => {
      database = await createDatabase(kind)
      const open = () => openServices(testConfig(database), createLogger('silent'))
      portals = [await open(), await open()]
      ;[here, there] = portals.map(({ storage }) => storage.counters) as [Counters, Counters]
      await Promise.all(portals.map(({ storage }) => storage.ping()))
    })
    after(async () => {
      for (const { storage } of portals) await storage.close()
      await database.drop()
    })

    test('of any number that race in two processes each gets a number of its own', async () => {
      const counts = await Promise.all(
        Array.from({ length: 100 }, (_, turn) => (turn % 2 === 0 ? here : there).add('race', 60)),
      )
      assert.deepEqual(
        counts.map(({ points }) => points).toSorted((a, b) => a - b),
        Array.from({ length: 100 }, (_, index) => index + 1),
      )
      assert.deepEqual([await here.read('race'), await there.read('race')], [100, 100])
    })

    test('a counter ends so long after the first, however many follow', async () => {
      assert.ok((await here.add('brief', 1)).endsInMs <= 1000)
      await sleep(400)
      const { points, endsInMs } = await there.add('brief', 1)
      assert.equal(points, 2)
      assert.ok(endsInMs > 0 && endsInMs <= 650, String(endsInMs))
      while ((await here.read('brief')) !== 0) await sleep(20)
      assert.equal((await here.add('brief', 60)).points, 1)
    })

    test('what is taken back was never counted, and no counter goes below nothing', async () => {
      await here.add('taken', 60)
      await here.add('taken', 60)
      await there.takeBack('taken')
      assert.equal(await here.read('taken'), 1)
      await there.takeBack('taken')
      await there.takeBack('taken')
      await there.takeBack('unknown')
      assert.deepEqual([await here.read('taken'), await here.read('unknown')], [0, 0])
      assert.equal((await here.add('unknown', 60)).points, 1)
    })

    test('a reset holds in every process, and for no other counter', async () => {
      await Promise.all([here.add('mine', 60), here.add('yours', 60)])
      await there.reset('mine')
      assert.deepEqual([await here.read('mine'), await here.read('yours')], [0, 1])
    })

    test('what has ended is forgotten, and nothing that lives', async () => {
      await here.add('living', 60)
      await here.add('past', 1)
      while ((await here.read('past')) !== 0) await sleep(20)
      await here.prune(1000)
      const { rows } = await (portals[0] as Services).storage.pool.query<{ key: string }>('SELECT key FROM counters')
      assert.equal(
        rows.some(({ key }) => key === 'past'),
        false,
      )
      assert.equal(await here.read('living'), 1)
    })
  })
}

for (const [what, hangs] of [
  ['is gone', false],
  ['hangs', true],
] as const) {
  test(`while Redis ${what} a process counts for itself, mostly without asking it, and afterwards with the others again`, async () => {
    const database = await createDatabase('postgres+redis')
    const redis = await standBefore(database.redisUrl as string)
    const services = await openServices(testConfig({ ...database, redisUrl: redis.url }), createLogger('silent'))
    const { counters } = services.storage
    try {
      await services.storage.ping()
      await counters.add('name', 60)
      await counters.add('name', 60)
      if (hangs) redis.hang()
      else await redis.cut()

      const points: number[] = []
      for (let turn = 0; turn < 20; turn++) points.push((await counters.add('name', 60)).points)
      assert.deepEqual(
        points,
        Array.from({ length: 20 }, (_, index) => index + 1),
      )
      if (hangs) assert.ok(redis.swallowed() > 0 && redis.swallowed() < 10, `${redis.swallowed()} questions`)

      await redis.restore()
      // What was asked of it last before it was given up may have been counted after all.
      const shared = async () => (await counters.read('name')) <= 3
      for (let turn = 0; turn < 100 && !(await shared()); turn++) await sleep(50)
      assert.equal(await shared(), true)
    } finally {
      await services.storage.close()
      await redis.close()
      await database.drop()
    }
  })
}
