import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import { Redis } from 'ioredis'
import { Client } from 'pg'
import { findChromium } from './chromium.ts'
import { findFolderOf, findProgram, thisMachine, type Machine } from './machine.ts'
import { findFreePort } from '../../storage/embedded/free-port.ts'
import { startPostgres } from './postgres.ts'
import { UNFLUSHED } from './postgres-cluster.ts'
import { startRedis } from './redis.ts'
import type { Service } from './service.ts'
import { makeTemporaryFolder, type TemporaryFolder } from './temporary-folder.ts'

const quiet: Machine = { ...thisMachine, env: withoutUrls(process.env), say: () => undefined }
const nothingInstalled: Machine = { ...quiet, programFolders: [], isRoot: false }

const needsPostgres = findFolderOf(quiet, 'initdb', 'postgres') === null && 'no PostgreSQL server is installed here'
const redisServer = findProgram(quiet, 'redis-server', 'valkey-server')
const needsRedis = redisServer === null && 'no Redis server is installed here'

describe('a PostgreSQL server of our own', { skip: needsPostgres }, () => {
  let postgres: Service
  before(async () => (postgres = await startPostgres(quiet)))
  after(() => postgres.stop())

  test('makes databases, takes many connections and is durable', async () => {
    assert.equal(await ask(postgres.url, 'show max_connections'), '200')
    assert.equal(await ask(postgres.url, 'show fsync'), 'on')
    assert.equal(await ask(postgres.url, 'show synchronous_commit'), 'on')
    await ask(postgres.url, 'create database of_a_test')
    assert.equal(await ask(at(postgres.url, { pathname: '/of_a_test' }), 'select current_database()'), 'of_a_test')
  })

  test('of the tests flushes nothing, and still writes before it acknowledges', async () => {
    const fast = await startPostgres(quiet, UNFLUSHED)
    try {
      assert.equal(await ask(fast.url, 'show fsync'), 'off')
      assert.equal(await ask(fast.url, 'show synchronous_commit'), 'on')
    } finally {
      await fast.stop()
    }
  })

  test('refuses a wrong password', async () => {
    await assert.rejects(ask(at(postgres.url, { password: 'guess' }), 'select 1'), /password authentication failed/)
  })

  test('is used when DATABASE_URL names it, and left running', async () => {
    const given = await startPostgres({ ...nothingInstalled, env: { DATABASE_URL: postgres.url } })
    assert.match(given.origin, /^PostgreSQL \d+.* of DATABASE_URL$/)
    await given.stop()
    assert.equal(await ask(postgres.url, 'select 1'), 1)
  })

  test('is not used with a role that may not create databases', async () => {
    await ask(postgres.url, `create role reader login password 'secret-of-reader'`)
    const url = at(postgres.url, { username: 'reader', password: 'secret-of-reader' })
    await assert.rejects(startPostgres({ ...quiet, env: { DATABASE_URL: url } }), /may not create databases/)
  })

  test('leaves neither a process nor a folder behind', async () => {
    const other = await startPostgres(quiet)
    const folder = String(await ask(other.url, 'show data_directory'))
    const [pid] = (await readFile(join(folder, 'postmaster.pid'), 'utf8')).split('\n')
    assert.ok(isRunning(Number(pid)))

    await other.stop()
    assert.ok(!isRunning(Number(pid)))
    assert.ok(!existsSync(join(folder, '..')))
  })
})

test('a DATABASE_URL without a server is an error that does not tell the password', async () => {
  const url = `postgresql://ada:secret-of-ada@127.0.0.1:${await findFreePort()}/notes`
  await assert.rejects(startPostgres({ ...quiet, env: { DATABASE_URL: url } }), (error: Error) => {
    assert.match(error.message, /DATABASE_URL cannot be used/)
    assert.doesNotMatch(error.message, /secret-of-ada/)
    return true
  })
})

describe('a Redis server of our own', { skip: needsRedis }, () => {
  let redis: Service
  before(async () => (redis = await startRedis(quiet)))
  after(() => redis.stop())

  test('keeps what it is given, and nothing on disk', async () => {
    const client = connect(redis.url)
    await client.set('note', 'milk')
    assert.equal(await client.get('note'), 'milk')
    assert.deepEqual(await client.config('GET', 'save'), ['save', ''])
    assert.deepEqual(await client.config('GET', 'appendonly'), ['appendonly', 'no'])
    client.disconnect()
  })

  test('refuses a wrong password, and none', async () => {
    await assert.rejects(pidOf(at(redis.url, { password: 'guess' })), /WRONGPASS/)
    await assert.rejects(pidOf(at(redis.url, { password: '' })), /NOAUTH/)
  })

  test('is used when REDIS_URL names it, and left running', async () => {
    const given = await startRedis({ ...nothingInstalled, env: { REDIS_URL: redis.url } })
    await given.stop()
    assert.ok(isRunning(await pidOf(redis.url)))
  })

  test('is gone after it was stopped', async () => {
    const other = await startRedis(quiet)
    const pid = await pidOf(other.url)
    await other.stop()
    assert.ok(!isRunning(pid))
  })

  test('is gone after a signal ended the process that started it', async () => {
    const script = `
      const { startRedis } = await import(${JSON.stringify(import.meta.resolve('./redis.ts'))})
      console.log((await startRedis()).url)
      setInterval(() => {}, 1000)`
    const starter = spawn(process.execPath, ['--input-type=module', '--eval', script], { env: quiet.env })
    const [url] = (await once(starter.stdout, 'data')) as [Buffer]
    const pid = await pidOf(String(url).trim())

    starter.kill('SIGTERM')
    assert.deepEqual(await once(starter, 'exit'), [143, null])
    assert.ok(!isRunning(pid))
  })
})

describe('a machine without the program', { skip: needsRedis }, () => {
  let folder: TemporaryFolder
  beforeEach(async () => (folder = await makeTemporaryFolder('programs')))
  afterEach(() => folder.remove())

  test('gets it from apt-get, which updates its lists first and starts no service', async () => {
    const log = join(folder.path, 'apt.log')
    const servicePolicy = join(folder.path, 'policy-rc.d')
    await writeProgram(
      folder,
      'apt-get',
      `echo "$DEBIAN_FRONTEND $*" >> ${log}
       case "$*" in *install*) ${servicePolicy}; echo "policy $?" >> ${log}; ln -s ${redisServer} ${folder.path} ;; esac`,
    )
    const redis = await startRedis({ ...quiet, programFolders: [folder.path], isRoot: true, servicePolicy })
    await redis.stop()

    const [update, install, policy] = (await readFile(log, 'utf8')).split('\n')
    assert.match(update ?? '', /^noninteractive .* update$/)
    assert.match(install ?? '', /^noninteractive .* install -y --no-install-recommends redis-server$/)
    assert.equal(policy, 'policy 101')
    assert.ok(!existsSync(servicePolicy))
  })

  test('gets it from Docker, with no secret on a command line', async () => {
    const log = join(folder.path, 'docker.log')
    const pidFile = join(folder.path, 'pid')
    const port = await findFreePort()
    await writeProgram(
      folder,
      'docker',
      `echo "$*" >> ${log}
       case "$1" in
         run) printf '%sport ${port}\\ndaemonize yes\\npidfile ${pidFile}\\n' "$REDIS_SETTINGS" | ${redisServer} - ;;
         port) echo 127.0.0.1:${port} ;;
         rm) kill "$(cat ${pidFile})" ;;
       esac`,
    )
    const redis = await startRedis({ ...quiet, programFolders: [folder.path] })
    await redis.stop()
    assert.match(redis.origin, /Docker's redis:7-alpine$/)

    const commands = await readFile(log, 'utf8')
    assert.doesNotMatch(commands, new RegExp(new URL(redis.url).password))
    assert.deepEqual(
      commands.split('\n').map((line) => line.split(' ')[0]),
      ['info', 'run', 'port', 'rm', ''],
    )
  })
})

describe('a machine with nothing to offer', () => {
  test('has no PostgreSQL, and the error names everything that was tried', async () => {
    await assert.rejects(
      startPostgres(nothingInstalled),
      namesAll('There is no PostgreSQL', 'DATABASE_URL', 'installed server: ', 'Docker: ', 'apt-get: '),
    )
  })

  test('has no Redis, and the error names everything that was tried', async () => {
    await assert.rejects(
      startRedis(nothingInstalled),
      namesAll('There is no Redis', 'REDIS_URL', 'redis-server nor valkey-server', 'Docker: ', 'apt-get: '),
    )
  })

  test('has no Chromium, and the error names everything that was tried', async () => {
    const browsers = await makeTemporaryFolder('browsers')
    const env = {
      ...quiet.env,
      PLAYWRIGHT_BROWSERS_PATH: browsers.path,
      PLAYWRIGHT_DOWNLOAD_HOST: `http://127.0.0.1:${await findFreePort()}`,
    }
    await assert.rejects(
      findChromium({ ...nothingInstalled, env }, '/nowhere/chromium'),
      namesAll('There is no Chromium', 'CHROMIUM_PATH', 'installed browser: ', "Playwright's own: ", 'apt-get: '),
    )
    await browsers.remove()
  })

  test('cannot use a browser that does not start', async () => {
    await assert.rejects(
      findChromium({ ...nothingInstalled, env: { CHROMIUM_PATH: '/nowhere/chromium' } }),
      /CHROMIUM_PATH cannot be used: .*ENOENT/,
    )
  })
})

function withoutUrls(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { DATABASE_URL: _database, REDIS_URL: _redis, CHROMIUM_PATH: _chromium, ...rest } = env
  return rest
}

async function ask(url: string, sql: string): Promise<unknown> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query<unknown[]>({ text: sql, rowMode: 'array' })
    return rows[0]?.[0]
  } finally {
    await client.end()
  }
}

function connect(url: string): Redis {
  const client = new Redis(url, { retryStrategy: () => null })
  client.on('error', () => undefined)
  return client
}

async function pidOf(url: string): Promise<number> {
  const client = connect(url)
  try {
    return Number(/^process_id:(\d+)/m.exec(await client.info('server'))?.[1])
  } finally {
    client.disconnect()
  }
}

function at(url: string, parts: Partial<Pick<URL, 'pathname' | 'username' | 'password'>>): string {
  return Object.assign(new URL(url), parts).href
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

async function writeProgram(folder: TemporaryFolder, name: string, script: string): Promise<void> {
  await writeFile(join(folder.path, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
}

function namesAll(...parts: string[]): (error: Error) => true {
  return ({ message }) => {
    for (const part of parts) assert.ok(message.includes(part), `${message}\n… does not say: ${part}`)
    return true
  }
}
