import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Redis } from 'ioredis'
import { useRecoveryCodeIn } from '../domain/sign-in/recovery-codes.ts'
import { notesApp, photosApp } from '../testing/portal/apps.ts'
import { tokensIn } from '../testing/portal/answers.ts'
import { Browser, FIREFOX } from '../testing/browser/browser.ts'
import { Client, type Tokens } from '../testing/browser/client.ts'
import { addTotp, keyOn } from '../testing/portal/factors.ts'
import { readPage } from '../testing/browser/page.ts'
import { ada } from '../testing/portal/people.ts'
import { createDatabase, type TestDatabase } from '../testing/portal/databases.ts'
import { startTestServer, type TestServer } from '../testing/portal/server.ts'

const CALLBACK = 'https://notes.example.test/callback'
const AT_ONCE = 8
/** Of Redis' databases, so that what other tests keep there is not in the way. */
const REDIS_DATABASE = 7

for (const kind of ['postgres', 'postgres+redis'] as const) {
  let database: TestDatabase
  let server: TestServer
  let browser: Browser
  let notes: Client
  let photos: Client
  let factor: { key: string; codes: string[] }
  /** A key that is on its way into an app. */
  let unproved: string
  let adasId: string

  before(async () => {
    const created = await createDatabase(kind)
    const redisUrl = created.redisUrl === null ? null : new URL(`/${REDIS_DATABASE}`, created.redisUrl).href
    database = { ...created, redisUrl }
    server = await startTestServer({ database, env: { TRUST_PROXY: '1' } })
    adasId = await server.addIdentity(ada)
    notes = new Client(server.url, 'notes', await server.addApp('notes', notesApp), CALLBACK)
    photos = new Client(server.url, 'photos', await server.addApp('photos', photosApp), 'https://photos.example.test/')
    browser = new Browser(server.url)
    await browser.signIn(ada)
    factor = await addTotp(browser, new Date())
    unproved = keyOn(await readPage(await browser.get('/settings/second-factors/totp/new')))
  })
  after(async () => {
    await server.close()
    await database.drop()
  })

  /** Every value of every row, as a thief reads it: bytes in all their spellings, and whatever is inside of JSON. */
  async function dump(): Promise<string> {
    const { pool } = server.services.storage
    const tables = await pool.query(`SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'`)
    const values: unknown[] = []
    for (const { table_name: table } of tables.rows) {
      const { rows } = await pool.query(`SELECT * FROM "${table}"`)
      values.push(...rows.flatMap((row) => Object.values(row as object)))
    }
    return [...values.flatMap(spellings), ...(await dumpRedis())].join('\n')
  }

  async function dumpRedis(): Promise<string[]> {
    if (database.redisUrl === null) return []
    const redis = new Redis(database.redisUrl)
    const keys = await redis.keys('*')
    const values = await Promise.all(keys.map((key) => redis.get(key).catch(() => '')))
    redis.disconnect()
    return [...keys, ...values.map((value) => value ?? '')]
  }

  function spellings(value: unknown): string[] {
    if (Buffer.isBuffer(value)) return [value.toString('base64url'), value.toString('hex'), value.toString('latin1')]
    return [typeof value === 'string' ? value : JSON.stringify(value)]
  }

  /** Every word of it that could be a secret, with and without what such words are wrapped in. */
  function wordsOf(dumped: string): string[] {
    const pieces = [...dumped.matchAll(/[\w.~+/=-]{16,}/g), ...dumped.matchAll(/[\w-]{16,}/g)].map(([word]) => word)
    const isDate = /^\d{4}-\d\d-\d\dT/
    return [...new Set(pieces)].filter((word) => !isDate.test(word)).slice(0, 400)
  }

  test(`a stolen dump of the stores holds no secret as it is (${kind})`, async () => {
    const [tokens, code] = await everythingOpen()
    const dumped = await dump()
    const cookies = await browser.jar.getCookies(server.url)
    const secrets = {
      'a code': code,
      'a refresh token': tokens.refresh_token,
      'an application token': tokens.access_token,
      'an ID token': tokens.id_token,
      'the secret of an app': notes.secret as string,
      'a password': ada.password,
      'the key of an app': factor.key.replaceAll(' ', ''),
      'a key on its way into an app': unproved.replaceAll(' ', ''),
      ...Object.fromEntries(factor.codes.map((code) => [`the recovery code ${code}`, code.replaceAll('-', '')])),
      ...Object.fromEntries(
        cookies.flatMap(({ key, value }) => {
          const [id = ''] = decodeURIComponent(value).replace(/^s:/, '').split('.')
          return [
            [`the cookie ${key}`, value],
            [`the inside of the cookie ${key}`, id],
          ]
        }),
      ),
    }
    for (const [what, secret] of Object.entries(secrets)) assert.equal(dumped.includes(secret), false, what)
    assert.ok(cookies.length >= 2)
  })

  test(`nothing in a stolen dump of the stores opens anything (${kind})`, async () => {
    const [tokens, code] = await everythingOpen()
    const words = wordsOf(await dump())
    assert.ok(words.length > 20)
    const waiting = [...words]
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        for (let word = waiting.pop(); word !== undefined; word = waiting.pop()) {
          await assertOpensNothing(word, `2001:db8:0:${waiting.length.toString(16)}::1`)
        }
      }),
    )
    // What the rightful owners hold opens everything still.
    assert.equal((await notes.userinfo(tokens.access_token)).status, 200)
    await tokensIn(await notes.refresh(tokens.refresh_token))
    await tokensIn(await notes.exchange(code))
    assert.equal((await browser.get('/dashboard')).status, 200)
  })

  async function everythingOpen(): Promise<[Tokens, string]> {
    const tokens = await notes.connect(browser)
    await notes.send('/oauth/par', Object.fromEntries(new URL(notes.authorizeUrl()).searchParams))
    await new Browser(server.url).get(notes.authorizeUrl())
    await browser.get('/oauth/logout')
    return [tokens, await notes.code(browser)]
  }

  /** Each word from an address of its own, or the limit of guesses would answer instead of what is asked here. */
  async function assertOpensNothing(word: string, address: string): Promise<void> {
    const thief = new Client(server.url, 'notes', word, CALLBACK)
    const outcomes = await Promise.all([
      notes.refresh(word),
      photos.refresh(word),
      notes.exchange(word),
      notes.userinfo(word),
      thief.refresh('x', {}, { 'x-forwarded-for': address }),
    ])
    for (const outcome of outcomes) assert.ok([400, 401].includes(outcome.status), `${word}: ${outcome.status}`)
    assert.equal((await notes.introspect(word))['active'], false, word)
    const { services } = server
    assert.equal(
      await useRecoveryCodeIn(services.storage.pool, services, adasId, word.replaceAll('-', '')),
      false,
      word,
    )

    const cookie = ['identity', 'protocol', 'interaction']
      .map((name) => `${name}=${word}; ${name}.sig=${word}`)
      .join('; ')
    const page = await fetch(`${server.url}/dashboard`, {
      redirect: 'manual',
      headers: { cookie, 'user-agent': FIREFOX },
    })
    assert.equal(page.status, 303, word)
    const silent = await fetch(notes.authorizeUrl({ prompt: 'none' }), { redirect: 'manual', headers: { cookie } })
    assert.match(silent.headers.get('location') ?? '', /error=login_required/, word)
    const pushed = `client_id=notes&request_uri=urn:ietf:params:oauth:request_uri:${encodeURIComponent(word)}`
    const asked = await fetch(`${server.url}/oauth/authorize?${pushed}`, { redirect: 'manual', headers: { cookie } })
    assert.equal(asked.headers.get('location'), null, word)
  }
}
