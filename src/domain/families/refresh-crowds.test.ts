import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { openServices } from '../../main/services.ts'
import { createLogger } from '../../logger.ts'
import { notesApp, photosApp } from '../../testing/portal/apps.ts'
import { createClock, type TestClock } from '../../testing/portal/clock.ts'
import {
  type Connection,
  connect,
  familyRow,
  REFRESHES,
  refusalIn,
  successorIn,
} from '../../testing/portal/connections.ts'
import { createDatabase, STORAGES, type TestDatabase } from '../../testing/portal/databases.ts'
import { addIdentity } from '../../testing/portal/identities.ts'
import { ada } from '../../testing/portal/people.ts'
import { TEST_SECRET, testConfig } from '../../testing/portal/open-portal.ts'
import { seeded } from '../../testing/portal/seeded.ts'
import { createApp } from '../apps/apps.ts'
import { isUnavailable } from '../errors.ts'
import type { Services } from '../services.ts'
import { hashRefreshToken, parseRefreshToken } from './refresh-tokens.ts'

const GRACE = 30
const PROVEN = 7 * 86_400
const ROTATOR = join(import.meta.dirname, '../../testing/portal/rotator.ts')

/** A confidential app, which proves itself at each refresh, and a public one, which cannot. */
const APPS = ['notes', 'photos'] as const

for (const [kind, way] of [...STORAGES.map((each) => [each, 'library'] as const), ['postgres', 'plain'] as const]) {
  suite(`crowds that refresh one family on ${kind}, the ${way} way`, () => {
    const refresh = REFRESHES[way]
    let database: TestDatabase
    let clock: TestClock
    let portals: Services[]
    let services: Services
    let adaId: string

    before(async () => {
      database = await createDatabase(kind)
      clock = createClock()
      const open = async (time: () => Date) => openServices(testConfig(database), createLogger('silent'), time)
      portals = [await open(clock), await open(clock)]
      services = portals[0] as Services
      await services.storage.jobs.work('mail', { everyMs: 500, atOnce: 1 }, async () => 'done')
      adaId = await addIdentity(services, ada)
      await createApp(services, 'notes', notesApp)
      await createApp(services, 'photos', photosApp)
    })
    after(async () => {
      for (const each of portals) await each.storage.close()
      await database.drop()
    })

    const generationOf = (token: string) => parseRefreshToken(token, services.secrets)?.generation as number

    /** Every token that the family has had, by its generation: a second one of the same generation would be a fork. */
    function createChain(first: string) {
      const tokens = [first]
      const replacedAt: number[] = []
      return {
        tokens,
        /** In seconds, by the generation that was replaced. */
        replacedAt,
        add(token: string) {
          const generation = generationOf(token)
          assert.equal(tokens[generation] ?? token, token, `generation ${generation} has forked`)
          tokens[generation] = token
          replacedAt[generation - 1] ??= clock().getTime() / 1000
        },
      }
    }

    /** One living chain: the row is at the newest token that a caller was given, and that token works. */
    async function assertOneChain(connection: Connection, tokens: string[]): Promise<void> {
      const family = await familyRow(services, connection)
      assert.equal(family.endedAt, null)
      assert.equal(family.generation, tokens.length - 1)
      assert.deepEqual(family.currentHash, hashRefreshToken(tokens.at(-1) as string))
    }

    for (const app of APPS) {
      for (let seed = 1; seed <= 3; seed++) {
        test(`callers of ${app} with any recent tokens, at once and again, share one chain (seed ${seed})`, async () => {
          const random = seeded(seed)
          const connection = await connect(services, adaId, app)
          const chain = createChain(connection.refreshToken)
          const crowd = seed === 1 ? 50 : 2 + random.below(20)
          const held = Array.from({ length: crowd }, () => connection.refreshToken)

          for (let wave = 0; wave < 4; wave++) {
            // Few of them ask several times, so that no more rotations lie inside the window than are remembered.
            const times = random.chance(50) && crowd <= 20 ? 3 : 1
            await Promise.all(
              held.map(async (_, caller) => {
                for (let time = 0; time < times; time++) {
                  const refreshToken = held[caller] as string
                  const answer = await refresh(random.pick(portals), { ...connection, refreshToken })
                  const token = successorIn(answer)
                  assert.ok(generationOf(token) > generationOf(refreshToken))
                  chain.add(token)
                  // Some answers are lost.
                  if (!random.chance(20)) held[caller] = token
                }
              }),
            )
            await assertOneChain(connection, chain.tokens)
            const pause = random.below(15) + (times > 1 ? 15 : 0)
            const [now, current] = [clock().getTime() / 1000, chain.tokens.at(-1)]
            // A caller that lost its answer asks again before the window closes; some do so at once.
            for (const [caller, refreshToken] of held.entries()) {
              const age = now - (chain.replacedAt[generationOf(refreshToken)] ?? now)
              if (refreshToken === current || (age + pause < GRACE && random.chance(50))) continue
              held[caller] = successorIn(await refresh(services, { ...connection, refreshToken }))
              assert.equal(held[caller], current)
            }
            clock.advance(pause)
          }
        })
      }
    }

    for (const app of APPS) {
      test(`what each token of ${app} is worth follows from when it was replaced, and from nothing else`, async () => {
        const random = seeded(app === 'notes' ? 11 : 12)
        const other = await connect(services, adaId, app)
        const seen = { excused: 0, ended: 0 }
        for (let round = 0; round < 12; round++) {
          const connection = await connect(services, adaId, app)
          const chain = createChain(connection.refreshToken)

          for (let step = 0; step < 12; step++) {
            clock.advance(random.pick([0, 0, 1, 5, 12, 29.999, 30, 31, 600]))
            const back = random.below(Math.min(4, chain.tokens.length))
            const generation = chain.tokens.length - 1 - back
            const refreshToken = chain.tokens[generation] as string
            const age = clock().getTime() / 1000 - (chain.replacedAt[generation] ?? 0)
            const answer = await refresh(random.pick(portals), { ...connection, refreshToken })

            if (back === 0) {
              chain.add(successorIn(answer))
              assert.equal(chain.tokens.length, generation + 2)
            } else if (age < GRACE - 1e-6 || (app === 'notes' && back === 1 && age < PROVEN)) {
              assert.equal(successorIn(answer), chain.tokens.at(-1))
              seen.excused++
            } else {
              assert.deepEqual(refusalIn(answer), { reason: 'reused', ended: true })
              seen.ended++
              break
            }
            await assertOneChain(connection, chain.tokens)
          }
        }
        assert.ok(seen.excused > 5 && seen.ended > 3, JSON.stringify(seen))
        successorIn(await refresh(services, other))
      })
    }

    test('a database that breaks connections in the middle leaves one chain, and no caller is refused', async () => {
      const connection = await connect(services, adaId, 'photos')
      const chain = createChain(connection.refreshToken)
      let [asking, broken] = [true, 0]
      const callers = Array.from({ length: 8 }, async () => {
        let { refreshToken } = connection
        for (let time = 0; time < 6; time++) {
          try {
            refreshToken = successorIn(await refresh(portals[1] as Services, { ...connection, refreshToken }))
            chain.add(refreshToken)
          } catch (error) {
            assert.ok(isUnavailable(error), String(error))
            broken++
          }
        }
      })
      const breaking = (async () => {
        while (asking) {
          await services.storage.pool.query(
            `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
             AND state = 'active' AND query LIKE 'UPDATE families%' LIMIT 1`,
          )
        }
      })()
      await Promise.all(callers)
      asking = false
      await breaking

      const current = successorIn(await refresh(services, connection))
      chain.add(current)
      assert.equal((await familyRow(services, connection)).generation, generationOf(current))
      // Broken connections may have kept answers from every caller, but there is one token a generation.
      assert.ok(chain.tokens.length - 1 === generationOf(current) && broken < 48, `${broken} of 48 were broken`)
    })

    test('a process that is killed with its whole crowd leaves every caller a token that works', async () => {
      const connection = await connect(services, adaId, 'photos')
      // The process has the clock of the wall, as has this portal.
      const child = spawn(process.execPath, [ROTATOR, 'crowd', way, 'photos', connection.refreshToken, '6'], {
        env: {
          PATH: process.env['PATH'],
          NODE_ENV: 'test',
          GATEHOUSE_SECRET: TEST_SECRET,
          DATABASE_URL: database.databaseUrl,
          // However slow the machine is, what a caller holds was replaced inside the window.
          ROTATION_GRACE: '300',
        },
        stdio: ['pipe', 'pipe', 'inherit'],
      })
      let output = ''
      child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
      while (output.split('\n').length < 20) await once(child.stdout, 'data')
      child.kill('SIGKILL')
      await once(child, 'close')
      // What it had under way goes on in the database.
      for (let busy = 1; busy > 0;) {
        const { rows } = await services.storage.pool.query<{ count: number }>(
          `SELECT count(*)::int AS count FROM pg_stat_activity WHERE application_name = $1`,
          [`gatehouse/${child.pid}`],
        )
        busy = rows[0]?.count as number
      }

      const chain = createChain(connection.refreshToken)
      const held = new Map<string, string>()
      for (const line of output.split('\n').slice(1, -1)) {
        const [caller, token] = line.split(' ') as [string, string]
        chain.add(token)
        held.set(caller, token)
      }
      const survivor = {
        ...services,
        clock: () => new Date(),
        lifetimes: { ...services.lifetimes, rotationGrace: 300 },
      }
      for (const refreshToken of [connection.refreshToken, ...held.values()]) {
        const token = successorIn(await refresh(survivor, { ...connection, refreshToken }))
        chain.add(token)
        assert.deepEqual((await familyRow(services, connection)).currentHash, hashRefreshToken(token))
      }
      const { generation, endedAt } = await familyRow(services, connection)
      assert.deepEqual([generation, endedAt], [chain.tokens.length - 1, null])
    })
  })
}
