import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { createDatabase, type TestDatabase } from '../../testing/portal/databases.ts'
import { authentication, message, READY, startImpostor } from '../../testing/network/impostor.ts'
import { migrate } from '../migrations.ts'
import { isUnavailable, openPostgres } from '../postgres.ts'

const PASSWORD = 'CANARY-password'
const OK = authentication(0)
const CLEARTEXT = authentication(3)
const SASL = authentication(10, 'SCRAM-SHA-256\0\0')
/** A challenge to the client's nonce, as a server gives it that knows no verifier. */
const challenge = (heard: string) =>
  authentication(11, `r=${/r=([^,]+)/.exec(heard)?.[1]}more,s=${Buffer.from('salt').toString('base64')},i=4096`)
const SIGNATURE = authentication(12, `v=${Buffer.alloc(32).toString('base64')}`)
const all = (...buffers: Buffer[]) => Buffer.concat(buffers)

let database: TestDatabase

before(async () => {
  database = await createDatabase()
})
after(() => database.drop())

for (const [what, ...packets] of [
  ['asks for the password in clear', () => CLEARTEXT, () => all(OK, READY)],
  ['asks for its MD5 hash', () => authentication(5, 'salt'), () => all(OK, READY)],
  ['asks for Kerberos', () => authentication(2)],
  ['asks for GSSAPI', () => authentication(7)],
  ['asks for nothing', () => all(OK, READY)],
  ['says it is ready, and nothing before', () => READY],
  ['offers SCRAM and asks for the password in clear', () => all(SASL, CLEARTEXT)],
  ['offers SCRAM and lets in at once', () => all(SASL, OK, READY)],
  ['challenges and lets in without a signature', () => SASL, (heard) => challenge(heard), () => all(OK, READY)],
  ['challenges and asks for the password in clear', () => SASL, (heard) => challenge(heard), () => CLEARTEXT],
  ['challenges and signs wrongly', () => SASL, (heard) => challenge(heard), () => all(SIGNATURE, OK, READY)],
  ['challenges, signs and lets in in one packet', () => SASL, (heard) => all(challenge(heard), SIGNATURE, OK, READY)],
  ['signs what it has not challenged', () => all(SIGNATURE, OK, READY)],
  ['offers SCRAM with TLS only', () => authentication(10, 'SCRAM-SHA-256-PLUS\0\0'), () => all(OK, READY)],
  ['sends a message of no length', () => Buffer.from('R\0\0\0\0')],
  ['sends a row with a column that is not there', () => message('D', Buffer.from([0, 9]))],
  ['is another program', () => Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
] satisfies [string, ...((heard: string) => Buffer)[]][]) {
  test(`a server that ${what} gets neither the password nor a query`, async () => {
    const impostor = await startImpostor(packets)
    const url = `postgresql://portal:${PASSWORD}@127.0.0.1:${impostor.port}/portal?require_auth=scram-sha-256`
    const { pool, close } = openPostgres(url, () => {}, { connection: 500, query: 500 })
    try {
      await assert.rejects(pool.query(`SELECT 'CANARY-query'`), isUnavailable)
      await assert.rejects(pool.query({ name: 'named', text: `SELECT 'CANARY-query'` }), isUnavailable)
    } finally {
      await close()
      await impostor.close()
    }
    assert.match(impostor.heard(), /user\0portal/)
    assert.doesNotMatch(impostor.heard(), /CANARY|md5/)
  })
}

test('migrations tell such a server nothing either', async () => {
  const impostor = await startImpostor([() => CLEARTEXT])
  const url = `postgresql://owner:${PASSWORD}@127.0.0.1:${impostor.port}/portal?require_auth=scram-sha-256`
  await assert.rejects(migrate(url), isUnavailable)
  assert.doesNotMatch(impostor.heard(), /CANARY/)
  await impostor.close()
})

test('a server that knows the password is asked as ever', async () => {
  const url = new URL(database.databaseUrl)
  url.searchParams.set('require_auth', 'scram-sha-256')
  const { pool, close } = openPostgres(url.href, () => {}, { connection: 15_000, query: 15_000 })
  const { rows } = await pool.query<{ answer: number }>('SELECT 1 AS answer')
  assert.deepEqual(rows, [{ answer: 1 }])
  url.password = 'wrong'
  const wrong = openPostgres(url.href, () => {}, { connection: 15_000, query: 15_000 })
  await assert.rejects(wrong.pool.query('SELECT 1'), { code: '28P01' })
  await wrong.close()
  await close()
})

test('without that, pg gives its password away, so this would be noticed', async () => {
  const impostor = await startImpostor([() => CLEARTEXT])
  const client = new pg.Client(`postgresql://portal:${PASSWORD}@127.0.0.1:${impostor.port}/portal`)
  client.on('error', () => {})
  const connecting = client.connect().catch(() => {})
  while (!impostor.heard().includes(PASSWORD)) await new Promise((resolve) => setTimeout(resolve, 10))
  await impostor.close()
  await connecting
})
