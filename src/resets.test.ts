import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { createDatabase, type StorageKind, type TestDatabase } from './testing/portal/databases.ts'
import { type Running, startGatehouse } from './testing/portal/gatehouse.ts'
import { flood, reset } from './testing/network/hostile-connections.ts'
import { TEST_SECRET } from './testing/portal/open-portal.ts'
import { send } from './testing/network/wire.ts'
import { findFreePort } from './storage/embedded/free-port.ts'

const FORM = 'Content-Type: application/x-www-form-urlencoded\r\n'
const RESETS = 400

const opened: { portal: Running; database: TestDatabase }[] = []

after(async () => {
  for (const { portal, database } of opened) {
    await portal.kill()
    await database.drop()
  }
})

for (const [workers, kind] of [
  [1, 'postgres'],
  [2, 'postgres+redis'],
] as const) {
  test(`clients that reset their connections end none of ${workers} processes, and others are served`, async () => {
    const { portal, port, host } = await serve(workers, kind)
    const line = (target: string) => `${target} HTTP/1.1\r\nHost: ${host}\r\n`
    const whole = [
      `${line('GET /login')}\r\n`,
      `${line('GET /oauth/jwks')}\r\n`,
      `${line('GET /login')}\r\n`.repeat(5),
      `${line('GET /oauth/authorize?client_id=x')}\r\n`,
      `${line('POST /oauth/token')}${FORM}Content-Length: 5\r\n\r\na=b&c`,
      `${line('POST /oauth/token')}${FORM}Content-Length: 5\r\n\r\na=b&c`.repeat(40),
      `${line('POST /login')}${FORM}Expect: 100-continue\r\nContent-Length: 10\r\n\r\n`,
      `${line('GET /login')}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    ]
    const partial = [
      '',
      'GET /login HTT',
      line('GET /login'),
      `${line('POST /login')}${FORM}Content-Length: 500\r\n\r\nlogin=a`,
      `${line('POST /oauth/token')}${FORM}Transfer-Encoding: chunked\r\n\r\n1000\r\n${'a'.repeat(999)}`,
      `${line('CONNECT example.test:443')}\r\n`,
      `${line('GET /oauth/revocations')}Prefer: wait=50\r\nIf-None-Match: *\r\n\r\n`,
    ]
    const stages = [
      ...[...whole, ...partial].map((bytes) => [bytes, 'at once'] as const),
      ...whole.map((bytes) => [bytes, 'in the answer'] as const),
    ]

    let isOver = false
    const honest: number[] = []
    const serving = (async () => {
      while (!isOver) honest.push((await send(port, { path: '/login', headers: { host } })).status)
    })()
    await flood(RESETS, 20, async (turn) => {
      const [bytes, when] = stages[turn % stages.length] as (typeof stages)[number]
      await reset(port, bytes, when)
    })
    isOver = true
    await serving

    assert.deepEqual([...new Set(honest)], [200])
    assert.doesNotMatch(portal.printed(), /"level":"(?:error|fatal)"|is replaced/)
    portal.child.kill('SIGTERM')
    assert.deepEqual(await portal.finished, { code: 0, stdout: portal.printed(), stderr: '' })
  })
}

test('an error that nothing caught is in the log before its process ends', async () => {
  const fault = 'process.on("SIGUSR2", () => { throw new Error("CANARY") })'
  const { portal } = await serve(1, 'postgres', {
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(fault)}`,
  })
  portal.child.kill('SIGUSR2')
  const { code, stdout } = await portal.finished
  assert.equal(code, 1)
  assert.match(stdout, /"level":"fatal"[^\n]*"message":"CANARY"/)
})

async function serve(workers: number, kind: StorageKind, env: Record<string, string> = {}) {
  const database = await createDatabase(kind)
  const port = await findFreePort()
  const portal = startGatehouse(['serve'], {
    PORT: String(port),
    WORKERS: String(workers),
    DATABASE_URL: database.databaseUrl,
    GATEHOUSE_SECRET: TEST_SECRET,
    LOG_LEVEL: 'info',
    ...(database.redisUrl === null ? {} : { REDIS_URL: database.redisUrl }),
    ...env,
  })
  opened.push({ portal, database })
  await portal.says('Apps discover it')
  return { portal, port, host: `localhost:${port}` }
}
