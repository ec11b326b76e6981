// Runs in a process of its own: it starts every server of docker-compose.yml.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { Agent } from 'node:https'
import { dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { after, before, test } from 'node:test'
import { Redis } from 'ioredis'
import { findFreePort } from '../src/storage/embedded/free-port.ts'
import { type Mailbox, startMailbox } from '../src/testing/mail/mailbox.ts'
import { selfSigned } from '../src/testing/network/certificate.ts'
import { askOverTls, type TlsRequest } from '../src/testing/network/tls-requests.ts'
import { printed, type Running, startProgram } from '../src/testing/portal/gatehouse.ts'
import { unpackImage } from '../src/testing/portal/image.ts'
import { ada } from '../src/testing/portal/people.ts'
import { withClient } from '../src/testing/portal/template-database.ts'
import { run } from '../src/testing/services/command.ts'
import { type ComposeService, readCompose } from '../src/testing/services/compose.ts'
import { confine } from '../src/testing/services/confined.ts'
import { findProgram, thisMachine } from '../src/testing/services/machine.ts'
import { findNginx, type Nginx, startNginx } from '../src/testing/services/nginx.ts'
import { startCluster, UNFLUSHED } from '../src/testing/services/postgres-cluster.ts'
import { launch } from '../src/testing/services/server-process.ts'
import { makeTemporaryFolder } from '../src/testing/services/temporary-folder.ts'

const HOST = 'id.example.com'
const FROM_PAGE = { Origin: `https://${HOST}` }
const LIMIT = 30_000
const APP = { client_id: 'notes', redirect_uri: 'https://notes.example.com/callback' }

const compose = readCompose({ PUBLIC_URL: `https://${HOST}` })
const mayRun = process.platform === 'linux' && process.getuid?.() === 0
const skip = mayRun ? false : 'only root on Linux can run programs as an unknown user'
const ends: (() => Promise<unknown>)[] = []

interface Portal {
  running: Running
  port: number
}

/** Of all containers: secrets, temporary files, and the image. */
let folder: string
let mailbox: Mailbox
let portals: Portal[]
let metricsPorts: number[]
let nginx: Nginx
let cookie: string

before(async () => {
  if (!mayRun) return
  const temporary = await makeTemporaryFolder('stack')
  ends.push(() => temporary.remove())
  folder = temporary.path
  mailbox = await startMailbox()
  ends.push(() => mailbox.stop())
  const unpacked = unpackImage(join(folder, 'image'))
  linkOrCopy(process.execPath, join(folder, 'node'))
  await makeSecrets()
  writeFileSync(secret('smtp-url'), mailbox.url)
  await Promise.all([startDatabase(), startRedis(), unpacked])

  const migrated = await start('migrate').finished
  assert.equal(migrated.code, 0, migrated.stderr)
  const metricsPort = await findFreePort()
  const worker = start('worker', { env: { METRICS_PORT: String(metricsPort) } })
  portals = await Promise.all(['portal-1', 'portal-2'].map(async (name) => startPortal(name, await findFreePort())))
  await worker.says('Gatehouse sends what is queued')
  metricsPorts = [metricsPort, ...portals.map(({ port }) => port)]
  nginx = await startNginx(await findNginx(), {
    configuration: file('nginx/compose.conf'),
    locations: file('nginx/locations.conf'),
    certificate: selfSigned.cert,
    key: selfSigned.key,
    upstreams: Object.fromEntries(
      portals.map(({ port }, index) => [`172.31.240.1${index + 1}:3000`, `127.0.0.1:${port}`]),
    ),
  })
  ends.push(() => nginx.stop())
})
after(async () => {
  for (const end of ends.toReversed()) await end()
})

test('secrets are made once, and closed to other users of the machine', { skip }, async () => {
  assert.equal(statSync(join(folder, 'secrets')).mode & 0o777, 0o700)
  const read = () =>
    readdirSync(join(folder, 'secrets')).map((name) => [name, readFileSync(secret(name), 'utf8')] as const)
  const first = read()
  assert.ok(first.every(([, text]) => text !== ''))
  await makeSecrets()
  assert.deepEqual(read(), first)
  assert.deepEqual(
    first.map(([name]) => name),
    Object.values(compose.secrets)
      .map(({ file: path }) => path.replace('./secrets/', ''))
      .toSorted(),
  )
})

test('the portal’s role owns nothing, and Redis answers nothing without a password', { skip }, async () => {
  await withClient(readFileSync(secret('database-url'), 'utf8').trim(), async (client) => {
    await assert.rejects(client.query('DELETE FROM audit_events'), /permission denied/)
    await assert.rejects(client.query('CREATE TABLE mine ()'), /permission denied/)
  })
  const url = new URL(readFileSync(secret('redis-url'), 'utf8').trim())
  const redis = new Redis({ port: Number(url.port), host: url.hostname, retryStrategy: () => null })
  redis.on('error', () => {})
  await assert.rejects(redis.ping(), /NOAUTH/)
  redis.disconnect()
})

test('an unknown user on a read-only file system signs people in, sends mail and administers', { skip }, async () => {
  const touched = startConfined(['/bin/sh', '-c', `touch ${join(folder, 'image/src/gatehouse.ts')}`], {})
  assert.notEqual((await touched.finished).code, 0)

  const created = await command(
    ['user', 'create', '--username', 'ada', '--email', ada.email, '--password-stdin', '--email-verified', '--json'],
    `${ada.password}\n`,
  )
  assert.equal(created.code, 0, created.stderr)
  assert.match((await command(['user', 'list'])).stdout, /ada@example\.test/)

  // An address that the client makes up does not count.
  const signedIn = await ask('/login', {
    form: { login: 'ada', password: ada.password },
    headers: { ...FROM_PAGE, 'X-Forwarded-For': '203.0.113.7' },
  })
  assert.equal(signedIn.status, 303)
  assert.match(signedIn.headers['strict-transport-security'] ?? '', /max-age=/)
  const identity = (signedIn.headers['set-cookie'] ?? []).find((each) => each.startsWith('__Host-identity=')) ?? ''
  assert.match(identity, /; Secure/)
  cookie = identity.split(';', 1)[0] as string
  const browsers = await ask('/sessions', { headers: { Cookie: cookie } })
  assert.ok(browsers.body.includes('127.0.0.1') && !browsers.body.includes('203.0.113.7'))

  assert.equal((await ask('/forgot-password', { form: { email: ada.email }, headers: FROM_PAGE })).status, 200)
  const { links } = await mailbox.waitFor(({ recipients }) => recipients.includes(ada.email))
  assert.ok(links.some((link) => link.startsWith(`https://${HOST}/reset-password/`)))
})

test('nginx passes on what the portal needs, and keeps health and metrics to the machine', { skip }, async () => {
  const onMachine = await startNginx(await findNginx(), {
    configuration: file('nginx/gatehouse.conf').replaceAll('id.example.com', HOST),
    locations: file('nginx/locations.conf'),
    certificate: selfSigned.cert,
    key: selfSigned.key,
    upstreams: { '127.0.0.1:3000': `127.0.0.1:${portals[0]?.port}` },
  })
  try {
    for (const { httpPort, httpsPort } of [nginx, onMachine]) {
      const plain = await fetch(`http://127.0.0.1:${httpPort}/login?a=b`, {
        headers: { Host: HOST },
        redirect: 'manual',
      })
      assert.equal(plain.status, 301)
      assert.match(plain.headers.get('location') ?? '', /^https:\/\/[^/]+\/login\?a=b$/)
      const discovery = await askOverTls(HOST, httpsPort, '/.well-known/openid-configuration')
      assert.equal((JSON.parse(discovery.body) as { issuer: string }).issuer, `https://${HOST}`)
      for (const path of [
        '/healthz',
        '/readyz',
        '/metrics',
        '/Metrics',
        '/metrics/',
        '//metrics',
        '/%6detrics',
        '/a/../metrics',
      ]) {
        const { status, body } = await askOverTls(HOST, httpsPort, path)
        assert.equal(status, 404)
        assert.match(body, /nginx/, path)
      }
      assert.equal((await askOverTls('other.example.com', httpsPort, '/login')).status, 421)
      // As long as a request to an app may be: nginx passes on its URL, and the address of the answer.
      const long = `/oauth/authorize?client_id=nothing&state=${'s'.repeat(9000)}`
      assert.equal((await askOverTls(HOST, httpsPort, long)).status, 400)
    }
  } finally {
    await onMachine.stop()
  }
})

test('one portal after the other is replaced while apps refresh, and no refresh fails', { skip }, async () => {
  const app = printed<{ client_secret: string }>(
    await command(['app', 'create', APP.client_id, '--name', 'Notes', '--redirect-uri', APP.redirect_uri, '--json']),
  )
  const agent = new Agent({ keepAlive: true })
  const token = (form: Record<string, string>) =>
    ask('/oauth/token', { form: { ...form, client_id: APP.client_id, client_secret: app.client_secret }, agent })
  let isOver = false
  const statuses: number[] = []
  /** One family, refreshed again and again. */
  const refresh = async (): Promise<void> => {
    const authorization = new URLSearchParams({
      client_id: APP.client_id,
      redirect_uri: APP.redirect_uri,
      response_type: 'code',
      scope: 'openid',
      code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
      code_challenge_method: 'S256',
    })
    const { headers } = await ask(`/oauth/authorize?${authorization}`, { headers: { Cookie: cookie } })
    const code = new URL(headers.location ?? '').searchParams.get('code') ?? ''
    let answer = await token({
      grant_type: 'authorization_code',
      code,
      redirect_uri: APP.redirect_uri,
      code_verifier: 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk',
    })
    while (answer.status === 200 && !isOver) {
      statuses.push(answer.status)
      const { refresh_token } = JSON.parse(answer.body) as { refresh_token: string }
      answer = await token({ grant_type: 'refresh_token', refresh_token })
    }
    statuses.push(answer.status)
  }

  const refreshing = Promise.all(Array.from({ length: 3 }, refresh))
  const fails = () => statuses.some((status) => status !== 200)
  for (const [index, { port }] of portals.entries()) {
    // nginx has found the other one again.
    for (const { running } of portals)
      while (!fails() && !running.printed().includes('/oauth/token'))
        await Promise.race([once(running.child.stdout as Readable, 'data'), refreshing])
    const { running } = portals[index] as Portal
    running.child.kill('SIGTERM')
    assert.equal((await running.finished).code, 0)
    portals[index] = await startPortal(`portal-${index + 1}`, port)
  }
  isOver = true
  await refreshing
  agent.destroy()
  assert.deepEqual(new Set(statuses), new Set([200]))
})

test('Prometheus gets the metrics of every process, with the token', { skip }, async () => {
  const Authorization = `Bearer ${readFileSync(secret('metrics-token'), 'utf8').trim()}`
  for (const port of metricsPorts) {
    const answer = await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { Authorization } })
    assert.match(await answer.text(), /^gatehouse_refreshes_total\{/m)
    assert.equal((await fetch(`http://127.0.0.1:${port}/healthz`)).status, 200)
  }
})

function ask(path: string, request?: TlsRequest) {
  return askOverTls(HOST, nginx.httpsPort, path, request)
}

function file(name: string): string {
  return readFileSync(join(import.meta.dirname, name), 'utf8')
}

function secret(name: string): string {
  return join(folder, 'secrets', name)
}

async function makeSecrets(): Promise<void> {
  await run('sh', [join(import.meta.dirname, 'compose/make-secrets.sh'), join(folder, 'secrets')], { limit: LIMIT })
}

/** Where the containers would see each other by name, they have ports on this machine. */
function move(name: string, from: string, to: string): void {
  const text = readFileSync(secret(name), 'utf8')
  assert.ok(text.includes(from), name)
  chmodSync(secret(name), 0o644)
  writeFileSync(secret(name), text.replace(from, to))
  chmodSync(secret(name), 0o444)
}

/** Replaces the paths of secrets. A container sees those that its service lists, as files in a folder of its own. */
function here(text: string, service: string): string {
  const mounts = join(folder, 'mounts', service)
  mkdirSync(mounts, { recursive: true })
  for (const name of compose.services[service]?.secrets ?? []) {
    const path = join(folder, compose.secrets[name]?.file as string)
    if (!existsSync(join(mounts, name))) linkSync(path, join(mounts, name))
  }
  return text.replaceAll('/run/secrets', mounts)
}

async function startDatabase(): Promise<void> {
  const password = readFileSync(secret('postgres-password'), 'utf8').trim()
  const cluster = await startCluster({ ...thisMachine, say: () => {} }, password, UNFLUSHED)
  ends.push(() => cluster.stop())
  await cluster.ready(() =>
    withClient(`postgresql://postgres:${password}@127.0.0.1:${cluster.port}/postgres`, async () => {}),
  )
  const psql = findProgram(thisMachine, 'psql')
  assert.ok(psql !== null)
  const connection = { PGHOST: '127.0.0.1', PGPORT: String(cluster.port), PGPASSWORD: password }
  const script = join(folder, 'roles.sh')
  writeFileSync(script, here(file('compose/postgres-roles.sh'), 'postgres'))
  await run('sh', [script], {
    limit: LIMIT,
    env: { PATH: `${dirname(psql)}:${process.env['PATH']}`, ...connection },
  })
  move('database-url', '@postgres/', `@127.0.0.1:${cluster.port}/`)
  move('database-migration-url', '@postgres/', `@127.0.0.1:${cluster.port}/`)
}

async function startRedis(): Promise<void> {
  const program = findProgram(thisMachine, 'redis-server', 'valkey-server')
  assert.ok(program !== null)
  const port = await findFreePort()
  const configuration = join(folder, 'redis.conf')
  writeFileSync(
    configuration,
    here(file('compose/redis.conf').replace('port 6379', `bind 127.0.0.1\nport ${port}`), 'redis'),
  )
  const server = launch(program, [configuration], { folder, endSignal: 'SIGTERM', killSignal: 'SIGKILL' })
  ends.push(() => server.stop())
  move('redis-url', '@redis:6379', `@127.0.0.1:${port}`)
  await server.ready(async () => {
    const redis = new Redis(readFileSync(secret('redis-url'), 'utf8').trim(), { retryStrategy: () => null })
    redis.on('error', () => {})
    try {
      assert.equal(await redis.config('GET', 'maxmemory-policy').then(String), 'maxmemory-policy,noeviction')
    } finally {
      redis.disconnect()
    }
  })
}

/** A service of docker-compose.yml with its own environment, except for the port. */
function start(
  name: string,
  { args, env, input }: { args?: string[]; env?: Record<string, string>; input?: string } = {},
) {
  const { command = ['serve'], environment = {} } = compose.services[name] as ComposeService
  const words = Object.entries({ ...environment, ...env }).map(([key, value]) => [key, here(value, name)] as const)
  const program = [join(folder, 'node'), join(folder, 'image/src/gatehouse.ts'), ...(args ?? command)]
  return startConfined(program, Object.fromEntries(words), input)
}

function startConfined([program = '', ...args]: string[], env: Record<string, string>, input = ''): Running {
  const writable = join(folder, 'tmp')
  mkdirSync(writable, { recursive: true })
  const confined = confine({ program, args }, writable)
  const running = startProgram(confined.program, confined.args, { ...env, TMPDIR: writable }, input, folder)
  ends.push(() => running.kill())
  return running
}

async function startPortal(name: string, port: number): Promise<Portal> {
  const running = start(name, { env: { PORT: String(port) } })
  await running.says(`Gatehouse is ready at https://${HOST}`)
  return { running, port }
}

/** As `docker compose exec portal-1 gatehouse …`. */
function command(args: string[], input?: string) {
  return start('portal-1', { args, ...(input === undefined ? {} : { input }) }).finished
}

function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to)
  } catch {
    copyFileSync(from, to)
  }
}
