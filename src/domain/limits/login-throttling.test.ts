import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { openServices } from '../../main/services.ts'
import { createLogger } from '../../logger.ts'
import { createDatabase, type TestDatabase } from '../../testing/portal/databases.ts'
import { testConfig } from '../../testing/portal/open-portal.ts'
import {
  admitRecovery,
  admitRegistration,
  beginAttempt,
  type ThrottledAttempt,
  mayMail,
  type AdmittedAttempt,
  type Wait,
} from './login-throttling.ts'
import type { Services } from '../services.ts'
import { findIpBlock, liftIpBlock, listIpBlocks } from './ip-blocks.ts'

/** The filter of every block. */
const ALL = { prefix: '', after: null, limit: 10 }
const HERE = '192.0.2.1'
const FREE = 3

for (const kind of ['postgres', 'postgres+redis'] as const) {
  describe(`attempts counted in ${kind}`, () => {
    let database: TestDatabase
    let services: Services
    let other: Services
    /** Each test has an account of its own, because counters live longer than a test. */
    let round = 0
    let account: string

    const open = (env: Record<string, string> = {}) =>
      openServices(testConfig(database, { LOGIN_ATTEMPTS_BEFORE_DELAY: String(FREE), ...env }), createLogger('silent'))

    before(async () => {
      database = await createDatabase(kind)
      services = await open()
      other = await open()
      await Promise.all([services.storage.ping(), other.storage.ping()])
    })
    after(async () => {
      await services.storage.close()
      await other.storage.close()
      await database.drop()
    })
    beforeEach(() => {
      account = `ada-${round++}`
    })

    const address = (host = 1) => `198.51.${round}.${host}`
    const attempt = (change: Partial<ThrottledAttempt> = {}): ThrottledAttempt => ({
      kind: 'sign-in',
      account,
      ipAddress: address(),
      knownDevice: null,
      ...change,
    })

    /** A failed attempt. True when it was admitted. */
    async function fail(change: Partial<ThrottledAttempt> = {}, at = services): Promise<boolean> {
      const begun = await beginAttempt(at, attempt(change))
      if (begun.kind === 'go') await begun.failed()
      return begun.kind === 'go'
    }

    async function failOften(times: number, change: Partial<ThrottledAttempt> = {}): Promise<number> {
      let lookedAt = 0
      for (let turn = 0; turn < times; turn++) if (await fail(change)) lookedAt++
      return lookedAt
    }

    async function waiting(change: Partial<ThrottledAttempt> = {}, at = services): Promise<Wait> {
      const begun = await beginAttempt(at, attempt(change))
      return begun.kind === 'wait' ? begun : assert.fail('it may be looked at')
    }

    async function going(change: Partial<ThrottledAttempt> = {}, at = services): Promise<AdmittedAttempt> {
      const begun = await beginAttempt(at, attempt(change))
      return begun.kind === 'go' ? begun : assert.fail(`it has to wait: ${JSON.stringify(begun)}`)
    }

    /** The moment after the last one could not be looked at; the stores keep a time of their own. */
    async function whenItIsTime(change: Partial<ThrottledAttempt> = {}): Promise<void> {
      while (!(await fail(change))) await sleep(50)
    }

    test('the first failed attempts are not delayed, and each of the next waits twice as long as the one before', async () => {
      assert.equal(await failOften(FREE + 1), FREE + 1)
      for (const seconds of [1, 2]) {
        const { retryAt, ipBlocked } = await waiting()
        const ms = retryAt.getTime() - services.clock().getTime()
        assert.ok(ms > seconds * 1000 - 1000 && ms <= seconds * 1000, `${ms} ms for ${seconds} s`)
        assert.equal(ipBlocked, false)
        await whenItIsTime()
      }
      const ms = (await waiting()).retryAt.getTime() - services.clock().getTime()
      assert.ok(ms > 3000 && ms <= 4000, String(ms))
    })

    test('asking again and again does not lengthen the delay', async () => {
      const patient = await open({ LOGIN_DELAY_MIN: '3600' })
      try {
        for (let turn = 0; turn <= FREE; turn++) assert.equal(await fail({}, patient), true)
        for (let turn = 0; turn < 30; turn++) assert.equal(await fail({}, patient), false)
        const { retryAt } = await waiting({}, patient)
        assert.ok(retryAt.getTime() - services.clock().getTime() <= 3_600_000, String(retryAt))
      } finally {
        await patient.storage.close()
      }
    })

    test('no delay is longer than LOGIN_DELAY_MAX', async () => {
      const brief = await open({ LOGIN_ATTEMPTS_BEFORE_DELAY: '1', LOGIN_DELAY_MAX: '1' })
      try {
        await fail({}, brief)
        for (let turn = 0; turn < 3; turn++) {
          while (!(await fail({}, brief))) await sleep(50)
          const { retryAt } = await waiting({}, brief)
          assert.ok(retryAt.getTime() - brief.clock().getTime() <= 1000)
        }
      } finally {
        await brief.storage.close()
      }
    })

    test('of a hundred attempts at the same moment, at two processes, only the free ones and one more are admitted', async () => {
      // No wait is over before the last of them has come, however slow the machine is.
      const patient = await Promise.all([1, 2].map(async () => open({ LOGIN_DELAY_MIN: '3600' })))
      try {
        const begun = await Promise.all(
          Array.from({ length: 100 }, (_, turn) => beginAttempt(patient[turn % 2] as Services, attempt())),
        )
        assert.equal(begun.filter((each) => each.kind === 'go').length, FREE + 1)
        await Promise.all(begun.map(async (each) => (each.kind === 'go' ? each.failed() : null)))

        // And those that were not looked at do not lengthen the wait.
        const { retryAt } = await waiting({}, patient[0])
        assert.ok(retryAt.getTime() - services.clock().getTime() <= 3_600_000, String(retryAt))
      } finally {
        for (const each of patient) await each.storage.close()
      }
    })

    test('of many attempts when a delay is over one is admitted', async () => {
      await failOften(FREE + 1)
      const { retryAt } = await waiting()
      while (services.clock() < new Date(retryAt.getTime() + 100)) await sleep(20)
      const begun = await Promise.all(
        Array.from({ length: 40 }, (_, turn) => beginAttempt(turn % 2 === 0 ? services : other, attempt())),
      )
      assert.equal(begun.filter((each) => each.kind === 'go').length, 1)
    })

    test('what one process has counted holds in another, and after a restart', async () => {
      await failOften(FREE + 1)
      await waiting({}, other)
      const later = await open()
      try {
        await later.storage.ping()
        await waiting({}, later)
      } finally {
        await later.storage.close()
      }
    })

    test('a success resets the counters of this account, and of no other', async () => {
      const neighbour = `${account}-neighbour`
      await failOften(FREE)
      await failOften(FREE + 1, { account: neighbour })
      const right = await beginAttempt(services, attempt({ ipAddress: address(2) }))
      assert.equal(right.kind, 'go')
      await (await going({ ipAddress: address(2) })).succeeded()
      await fail()
      assert.equal((await waiting()).ipBlocked, false)
      await waiting({ account: neighbour })
    })

    test('after a success the pair starts anew', async () => {
      await failOften(FREE - 1)
      await (await going()).succeeded()
      assert.equal(await failOften(FREE), FREE)
    })

    test('successes are never held back, however many', async () => {
      for (let turn = 0; turn < 10 * FREE; turn++) await (await going()).succeeded()
    })

    test('a withdrawn attempt does not count', async () => {
      await failOften(FREE - 1)
      for (let turn = 0; turn < 5; turn++) await (await going()).withdraw()
      assert.equal(await failOften(FREE), 2)
    })

    test('many IP addresses at one account are delayed together, and a known device of the user is not', async () => {
      const spread = await Promise.all(Array.from({ length: 60 }, (_, host) => fail({ ipAddress: address(host + 2) })))
      assert.ok(spread.filter(Boolean).length <= 4 * FREE + 1, String(spread.filter(Boolean).length))
      await waiting({ ipAddress: address(99) })
      await (await going({ knownDevice: 'laptop' })).succeeded()
      // What the others have done is not forgotten for it.
      await waiting({ ipAddress: address(99) })
    })

    test('attempts from a known device are delayed by that device alone', async () => {
      const device = { knownDevice: 'stolen laptop' }
      assert.equal(await failOften(FREE + 5, device), FREE + 1)
      await waiting({ ...device, ipAddress: address(77) })
      await (await going({ knownDevice: 'telephone' })).succeeded()
      await waiting(device)
      await going()
    })

    test('a name is one name in any spelling that signs in', async () => {
      await fail({ account: `${account}ﬁ` })
      await fail({ account: `${account.toUpperCase()}FI` })
      await fail({ account: `  ${account}fi ` })
      await fail({ account: `${account}ＦＩ` })
      await waiting({ account: `${account}fi` })
      // A dot makes another name, with which this account does not sign in.
      await going({ account: `${account}fi.` })
    })

    test('an IPv6 /64 counts as one IP address, and an IPv4 address is one in both spellings', async () => {
      for (let host = 1; host <= FREE + 1; host++) await fail({ ipAddress: `2001:db8:${round}:1::${host}` })
      await waiting({ ipAddress: `2001:db8:${round}:1:ffff::` })
      await going({ ipAddress: `2001:db8:${round}:2::1` })
      await failOften(FREE + 1, { account: `${account}-4` })
      await waiting({ account: `${account}-4`, ipAddress: `::ffff:${address()}` })
    })

    test('second factors are counted on their own, and a right password does not forget them', async () => {
      const factor = { kind: 'second-factor' as const }
      await failOften(FREE + 1, factor)
      await (await going()).succeeded()
      await waiting(factor)
    })

    test('a client is not delayed by attempts in its name from other IP addresses', async () => {
      const app = { kind: 'client' as const, account: `app-${round}` }
      for (let host = 2; host < 40; host++) await fail({ ...app, ipAddress: address(host) })
      await going(app)
      assert.equal(await failOften(FREE + 3, { ...app, ipAddress: address(50) }), FREE + 1)
    })

    test('an IP address that fails at many accounts is blocked, in every process, and starts anew afterwards', async () => {
      const strict = await open({ IP_BLOCK_AFTER: '10', IP_BLOCK_DURATION: '2' })
      try {
        await strict.storage.ping()
        const names = Array.from({ length: 10 }, (_, number) => `${account}-${number}`)
        const kinds = ['sign-in', 'second-factor', 'client'] as const
        for (const [number, name] of names.entries()) {
          const begun = await going({ account: name, kind: kinds[number % 3] as ThrottledAttempt['kind'] }, strict)
          const ipBlock = await begun.failed()
          assert.equal(ipBlock !== null, number === 9)
        }
        const { retryAt, ipBlocked } = await waiting({}, other)
        assert.equal(ipBlocked, true)
        assert.ok(retryAt.getTime() - other.clock().getTime() <= 2000)
        assert.equal((await admitRegistration(other, address())).kind, 'wait')
        assert.equal((await admitRecovery(other, address())).kind, 'wait')
        await waiting({ kind: 'client' }, other)
        await (await going({ knownDevice: 'laptop' }, other)).succeeded()
        await going({ ipAddress: address(2) }, other)
        const [row] = (await listIpBlocks(other, ALL)).filter((each) => each.address === address())
        assert.equal(row?.failures, 10)

        while ((await findIpBlock(services, address())) !== null) await sleep(50)
        for (const name of names.slice(0, 9)) assert.equal(await fail({ account: `${name}-again` }, strict), true)
        assert.equal(await findIpBlock(services, address()), null)
      } finally {
        await strict.storage.close()
      }
    })

    test('an IP block is lifted at once, in every process', async () => {
      const strict = await open({ IP_BLOCK_AFTER: '5' })
      try {
        await strict.storage.ping()
        for (let number = 0; number < 5; number++) await fail({ account: `${account}-${number}` }, strict)
        assert.equal((await waiting({}, other)).ipBlocked, true)
        assert.equal(await liftIpBlock(services, `::ffff:${address()}`), true)
        assert.equal(await liftIpBlock(services, address()), false)
        for (let number = 0; number < 4; number++) {
          assert.equal(await fail({ account: `${account}-${number}` }, strict), true)
        }
        assert.equal(await findIpBlock(strict, address()), null)
      } finally {
        await strict.storage.close()
      }
    })

    test('attempts at many names from one network are delayed, also when IP addresses are never blocked', async () => {
      const lenient = await open({ LOGIN_ATTEMPTS_BEFORE_DELAY: '1', IP_BLOCK_AFTER: '0' })
      try {
        await lenient.storage.ping()
        let lookedAt = 0
        for (let number = 0; number < 200; number++) {
          const from = `2001:db8:${round}:5::${number.toString(16)}`
          if (await fail({ account: `${account}-${number}`, ipAddress: from }, lenient)) lookedAt++
        }
        assert.ok(lookedAt >= 20 && lookedAt <= 25, String(lookedAt))
        assert.deepEqual(await listIpBlocks(lenient, ALL), [])
      } finally {
        await lenient.storage.close()
      }
    })

    test('registrations per IP address are limited to so many in an hour', async () => {
      const brief = await open({ REGISTRATIONS_PER_HOUR: '3' })
      try {
        await brief.storage.ping()
        const from = address()
        const admissions = await Promise.all(Array.from({ length: 10 }, () => admitRegistration(brief, from)))
        assert.equal(admissions.filter((each) => each.kind === 'go').length, 3)
        const refused = await admitRegistration(brief, from)
        const ms = refused.kind === 'wait' ? refused.retryAt.getTime() - brief.clock().getTime() : 0
        assert.ok(ms > 3_590_000 && ms <= 3_600_000, String(ms))
        assert.equal((await admitRegistration(brief, address(2))).kind, 'go')
      } finally {
        await brief.storage.close()
      }
    })

    test('of fifty password recoveries three are mailed, however the e-mail address is written', async () => {
      const spellings = [`${account}@example.test`, `${account.toUpperCase()}@EXAMPLE.test`]
      const sent = await Promise.all(
        Array.from({ length: 50 }, (_, turn) =>
          mayMail(turn % 3 === 0 ? services : other, spellings[turn % 2] as string),
        ),
      )
      assert.equal(sent.filter(Boolean).length, 3)
    })

    test('the store of counters holds no user name, IP address or device', async () => {
      await failOften(FREE + 1, { account: 'canary', knownDevice: 'canary-device' })
      await failOften(FREE + 1, { account: 'canary' })
      await mayMail(services, 'canary@example.test')
      const { rows } = await services.storage.pool.query('SELECT * FROM counters')
      assert.equal(rows.length > 0, kind === 'postgres')
      assert.doesNotMatch(JSON.stringify(rows), /canary|198\.51/)
    })
  })
}

test('attempts without an IP address are counted, too', async () => {
  const database = await createDatabase()
  const services = await openServices(
    testConfig(database, { LOGIN_ATTEMPTS_BEFORE_DELAY: '1' }),
    createLogger('silent'),
  )
  try {
    const nowhere: ThrottledAttempt = { kind: 'sign-in', account: 'ada', ipAddress: '', knownDevice: null }
    const kinds: string[] = []
    for (let turn = 0; turn < 4; turn++) kinds.push((await beginAttempt(services, nowhere)).kind)
    assert.deepEqual(kinds, ['go', 'go', 'wait', 'wait'])
    assert.equal((await beginAttempt(services, { ...nowhere, ipAddress: HERE })).kind, 'go')
  } finally {
    await services.storage.close()
    await database.drop()
  }
})
