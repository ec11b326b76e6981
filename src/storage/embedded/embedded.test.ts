import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readdir, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { authentication, startImpostor } from '../../testing/network/impostor.ts'
import { makeTemporaryFolder, type TemporaryFolder } from '../../testing/services/temporary-folder.ts'
import { startEmbedded } from './embedded.ts'
import { findOwner, SYSTEM_FOLDER } from './owner.ts'

const GUEST = join(import.meta.dirname, '../../testing/portal/embedded-guest.ts')

let root: TemporaryFolder
let folder: string

before(async () => {
  root = await makeTemporaryFolder('embedded')
  folder = join(root.path, 'data')
})
after(() => root.remove())

test('an empty folder becomes a database, and a second start finds what the first has kept', async () => {
  const first = await startEmbedded(folder)
  assert.match((await ask(first.ownerUrl, 'SELECT version() AS answer')) as string, /^PostgreSQL 17\./)
  await ask(first.ownerUrl, `CREATE TABLE kept AS SELECT 'kept' AS answer`)
  await first.leave()
  assert.equal(await postmaster(folder), null)

  const second = await startEmbedded(folder)
  assert.equal(await ask(second.ownerUrl, 'SELECT answer FROM kept'), 'kept')
  await second.leave()
})

test('a user id without a name makes and runs a database', async () => {
  const user = process.getuid?.() === 0 ? { uid: 12_345, gid: 12_345 } : {}
  const open = join(root.path, 'nameless')
  await mkdir(open, { mode: 0o777 })
  await chmod(root.path, 0o755)
  await chmod(open, 0o777)
  const guest = startGuest(join(open, 'data'), '', user)
  await guest.prints(1)
  const url = guest.lines()[0] as string
  assert.equal(await ask(url, 'SELECT 1 AS answer'), 1)
  await guest.leave()
})

test('a file of a server that is gone, whose process id another program has, is no obstacle', async () => {
  const stale = join(root.path, 'stale')
  await (await startEmbedded(stale)).leave()
  const cluster = join(await realpath(join(stale, 'postgres')), 'cluster')
  const other = spawn('/bin/sleep', ['60'], { ...(await findOwner()) })
  try {
    await writeFile(join(cluster, 'postmaster.pid'), `${other.pid}\n${cluster}\n0\n1\n\n127.0.0.1\n`)
    const heard: string[] = []
    const here = await startEmbedded(stale, (error) => heard.push(String(error)))
    assert.equal(await ask(here.ownerUrl, 'SELECT 1 AS answer'), 1)
    await here.leave()
    assert.match(heard.join('\n'), new RegExp(`postmaster\\.pid named process ${other.pid}`))
    assert.equal(other.exitCode, null)
  } finally {
    other.kill()
  }
})

test('a process joins the server that another one has started', async () => {
  const here = await startEmbedded(folder)
  const guest = startGuest(folder)
  await guest.prints(1)
  assert.equal(guest.lines()[0], here.ownerUrl)
  await guest.leave()
  await here.leave()
})

test('the server goes on until the last one has left, also when the others hold no connection', async () => {
  const here = await startEmbedded(folder)
  const guest = startGuest(folder)
  await guest.prints(1)
  await guest.leave()
  assert.equal(await ask(here.ownerUrl, 'SELECT 1 AS answer'), 1)

  const again = startGuest(folder)
  await again.prints(1)
  await here.leave()
  assert.equal(await ask(here.ownerUrl, 'SELECT 1 AS answer'), 1)
  await again.leave()
  assert.equal(await postmaster(folder), null)
  await assert.rejects(ask(here.ownerUrl, 'SELECT 1'), { code: 'ECONNREFUSED' })
})

test('a process that joins twice leaves twice', async () => {
  const one = await startEmbedded(folder)
  const two = await startEmbedded(folder)
  assert.equal(two.ownerUrl, one.ownerUrl)
  await one.leave()
  assert.equal(await ask(two.ownerUrl, 'SELECT 1 AS answer'), 1)
  await two.leave()
  assert.equal(await postmaster(folder), null)
})

test('a process that joins while the last one leaves has a server', async () => {
  for (let round = 0; round < 5; round++) {
    const one = await startEmbedded(folder)
    const [two] = await Promise.all([sleep(round * 4).then(async () => startEmbedded(folder)), one.leave()])
    assert.equal(await ask(two.ownerUrl, 'SELECT 1 AS answer'), 1)
    await two.leave()
  }
})

test('two processes that begin on an empty folder at once have one database', async () => {
  const empty = join(root.path, 'raced')
  const guests = [startGuest(empty), startGuest(empty)]
  await Promise.all(guests.map(async (guest) => guest.prints(1)))
  const [one, two] = guests.map((guest) => guest.lines()[0] as string) as [string, string]
  assert.equal(one, two)
  await ask(one, 'CREATE TABLE shared AS SELECT 1 AS answer')
  assert.equal(await ask(two, 'SELECT answer FROM shared'), 1)
  await Promise.all(guests.map(async (guest) => guest.leave()))
  assert.deepEqual(await readdir(empty), ['postgres'])
})

test('a server that is killed comes back at the same place with every row it has acknowledged', async () => {
  const here = await startEmbedded(folder)
  const guest = startGuest(folder, 'count up')
  await guest.prints(50)
  const { pid } = (await postmaster(folder)) as { pid: number }
  process.kill(pid, 'SIGKILL')
  const lines = await guest.printed
  const acknowledged = Number(lines.at(-1))

  const kept = await eventually(async () => ask(here.ownerUrl, 'SELECT max(number) AS answer FROM numbers'))
  assert.ok((kept as number) >= acknowledged, `${String(kept)} of ${acknowledged}`)
  assert.equal(await ask(here.ownerUrl, 'SELECT count(*)::int AS answer FROM numbers'), kept)
  assert.notEqual((await postmaster(folder))?.pid, pid)
  await here.leave()
})

test('a process that leaves while a killed server is being restarted leaves no server behind', async () => {
  for (let round = 0; round < 8; round++) {
    const here = await startEmbedded(folder)
    const { pid } = (await postmaster(folder)) as { pid: number }
    process.kill(pid, 'SIGKILL')
    await sleep(round * 15)
    await here.leave()
    await assert.rejects(ask(here.ownerUrl, 'SELECT 1'))
  }
})

test('a server whose process was killed is joined by the next, which finds every acknowledged row', async () => {
  const guest = startGuest(folder)
  await guest.prints(1)
  await guest.kill()
  const orphan = await postmaster(folder)
  const here = await startEmbedded(folder)
  assert.deepEqual(await postmaster(folder), orphan)
  await ask(here.ownerUrl, 'DROP TABLE IF EXISTS numbers')

  const next = startGuest(folder, 'count up')
  await next.prints(20)
  await next.kill()
  const acknowledged = Number((await next.printed).at(-1))
  assert.ok(((await ask(here.ownerUrl, 'SELECT max(number) AS answer FROM numbers')) as number) >= acknowledged)

  const present = `SELECT count(*)::int AS answer FROM pg_locks WHERE locktype = 'advisory'`
  await eventually(async () => assert.equal(await ask(here.ownerUrl, present), 1))
  await here.leave()
  assert.equal(await postmaster(folder), null)
})

test('a folder that is closed to others works, and stays closed', async () => {
  const closed = join(root.path, 'closed')
  await mkdir(closed, { mode: 0o700 })
  const data = join(closed, 'data')
  const here = await startEmbedded(data)
  const home = await realpath(join(data, 'postgres'))
  try {
    assert.equal(await ask(here.ownerUrl, 'SELECT 1 AS answer'), 1)
    assert.equal(modeOf(await stat(closed)), 0o700)
    // The server refuses to run as root, and no other user may enter the folder: its data lie where both can reach them.
    assert.equal(home.startsWith(SYSTEM_FOLDER), process.getuid?.() === 0)
    await here.leave()

    const again = await startEmbedded(data)
    assert.equal(await ask(again.ownerUrl, 'SELECT 1 AS answer'), 1)
    await again.leave()
  } finally {
    await rm(home, { recursive: true, force: true })
  }
})

test('a program that listens on the port of a killed server learns no password, and the server starts on another', async () => {
  const guest = startGuest(folder)
  await guest.prints(1)
  const { pid, port } = (await postmaster(folder)) as { pid: number; port: number }
  await guest.kill()
  process.kill(pid, 'SIGKILL')
  const passwords = [guest.lines()[0] as string].map((url) => new URL(url).password)
  // It asks for the password in clear (AuthenticationCleartextPassword).
  const impostor = await eventually(async () => startImpostor([() => authentication(3)], port))
  try {
    assert.equal((await postmaster(folder))?.port, port)
    const here = await startEmbedded(folder)
    assert.equal(await ask(here.url, 'SELECT 1 AS answer'), 1)
    assert.notEqual(new URL(here.url).port, String(port))
    passwords.push(new URL(here.url).password)
    await here.leave()
    assert.match(impostor.heard(), /user\0gatehouse/)
    for (const password of passwords) assert.equal(impostor.heard().includes(password), false)
  } finally {
    await impostor.close()
  }
})

test('a folder of a version that had the owner only gets the role of the portal', async () => {
  const here = await startEmbedded(folder)
  await ask(here.ownerUrl, 'GRANT ALL ON DATABASE gatehouse TO PUBLIC')
  await ask(here.ownerUrl, 'DROP OWNED BY gatehouse_portal')
  await ask(here.ownerUrl, 'DROP ROLE gatehouse_portal')
  await here.leave()

  const [one, two] = await Promise.all([startEmbedded(folder), startEmbedded(folder)])
  assert.equal(await ask(one.url, 'SELECT 1 AS answer'), 1)
  assert.equal(two.url, one.url)
  await assert.rejects(ask(one.url, 'CREATE TABLE more (id int)'), { code: '42501' })
  await assert.rejects(ask(one.url, 'CREATE TEMP TABLE more (id int)'), { code: '42501' })
  await assert.rejects(ask(one.url, 'CREATE ROLE more SUPERUSER'), { code: '42501' })
  await one.leave()
  await two.leave()
})

test('without the password a connection is refused', async () => {
  const here = await startEmbedded(folder)
  const wrong = new URL(here.ownerUrl)
  wrong.password = 'wrong'
  await assert.rejects(ask(wrong.href, 'SELECT 1'), { code: '28P01' })
  const without = new URL(here.ownerUrl)
  without.password = ''
  await assert.rejects(ask(without.href, 'SELECT 1'), /password/)
  const superuser = new URL(here.ownerUrl)
  superuser.username = 'postgres'
  await assert.rejects(ask(superuser.href, 'SELECT 1'), { code: '28P01' })

  assert.equal(await ask(here.ownerUrl, 'SHOW password_encryption', 'password_encryption'), 'scram-sha-256')
  const methods = `SELECT string_agg(DISTINCT auth_method, ' ') AS answer FROM pg_hba_file_rules`
  assert.equal(await ask(here.ownerUrl, methods), 'scram-sha-256')
  await here.leave()
})

test('the server listens on loopback and nowhere else', async () => {
  const here = await startEmbedded(folder)
  const url = new URL(here.ownerUrl)
  assert.equal(url.hostname, '127.0.0.1')
  assert.equal(await ask(here.ownerUrl, 'SHOW listen_addresses', 'listen_addresses'), '127.0.0.1')
  assert.equal(await ask(here.ownerUrl, 'SHOW unix_socket_directories', 'unix_socket_directories'), '')
  const addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? [])
  for (const { address } of addresses.filter(({ internal, family }) => !internal && family === 'IPv4')) {
    url.hostname = address
    await assert.rejects(ask(url.href, 'SELECT 1'), { code: 'ECONNREFUSED' })
  }
  await here.leave()
})

test('the password, the log and the data are readable by their owners only', async () => {
  const home = await realpath(join(folder, 'postgres'))
  assert.equal(modeOf(await stat(join(home, 'password'))), 0o600)
  assert.equal(modeOf(await stat(join(home, 'postgres.log'))), 0o600)
  assert.equal(modeOf(await stat(join(home, 'cluster'))), 0o700)
  assert.deepEqual((await readdir(home)).toSorted(), ['cluster', 'password', 'postgres.log'])
})

test('the log holds no value of any statement', async () => {
  const here = await startEmbedded(folder)
  const client = new pg.Client(here.ownerUrl)
  await client.connect()
  await assert.rejects(client.query('SELECT $1::int / $2::int', [123_454_321, 0]), { code: '22012' })
  await assert.rejects(client.query(`SELECT 'a secret in the text'::int`))
  await client.end()
  await here.leave()
  const log = await readFile(join(await realpath(join(folder, 'postgres')), 'postgres.log'), 'utf8')
  assert.equal(log.includes('123454321'), false)
  assert.equal(log.includes('STATEMENT'), false)
})

function startGuest(data: string, task = '', user: { uid?: number; gid?: number } = {}) {
  const child = spawn(process.execPath, [GUEST, data, task], { stdio: ['pipe', 'pipe', 'inherit'], ...user })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  const lines = () => output.split('\n').slice(0, -1)
  const printed = once(child, 'close').then(lines)
  return {
    lines,
    /** Every line, once it is gone. */
    printed,
    async prints(count: number) {
      while (lines().length < count) {
        if (child.exitCode !== null)
          assert.fail(`the guest ended with ${child.exitCode} before it had printed that much`)
        await Promise.race([once(child.stdout, 'data'), printed])
      }
    },
    async leave() {
      child.stdin.write('leave\n')
      await printed
    },
    async kill() {
      child.kill('SIGKILL')
      await printed
    },
  }
}

async function postmaster(data: string): Promise<{ pid: number; port: number } | null> {
  const text = await readFile(join(data, 'postgres/cluster/postmaster.pid'), 'utf8').catch(() => null)
  if (text === null) return null
  const lines = text.split('\n')
  return { pid: Number(lines[0]), port: Number(lines[3]) }
}

async function ask(url: string, question: string, column = 'answer'): Promise<unknown> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2000 })
  client.on('error', () => {})
  try {
    await client.connect()
    const result = await client.query<Record<string, unknown>>(question)
    return result.rows[0]?.[column]
  } finally {
    await client.end().catch(() => {})
  }
}

/** Asks again for ten seconds, until there is an answer. */
async function eventually<T>(question: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await question()
    } catch (error) {
      if (tries === 200) throw error
      await sleep(50)
    }
  }
}

function modeOf({ mode }: { mode: number }): number {
  return mode & 0o777
}
