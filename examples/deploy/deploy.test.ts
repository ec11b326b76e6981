import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { parseEnv } from 'node:util'
import { findFreePort } from '../../src/storage/embedded/free-port.ts'
import { startMailbox } from '../../src/testing/mail/mailbox.ts'
import { selfSigned } from '../../src/testing/network/certificate.ts'
import { createDatabase } from '../../src/testing/portal/databases.ts'
import { gatehouse, startGatehouse } from '../../src/testing/portal/gatehouse.ts'
import { ada } from '../../src/testing/portal/people.ts'
import { run } from '../../src/testing/services/command.ts'
import { findProgram, thisMachine } from '../../src/testing/services/machine.ts'
import { findNginx, startNginx } from '../../src/testing/services/nginx.ts'
import { makeTemporaryFolder } from '../../src/testing/services/temporary-folder.ts'

const HOST = 'id.example.com'
const LIMIT = 10_000

function file(name: string): string {
  return readFileSync(join(import.meta.dirname, name), 'utf8')
}

/** Null, and a skipped test that says why, where this machine cannot have a program. */
async function orSkip<T>(context: TestContext, found: Promise<T>): Promise<T | null> {
  return found.catch((error: unknown) => {
    context.skip((error as Error).message)
    return null
  })
}

test('a portal in production behind nginx, with TLS, PostgreSQL, Redis and SMTP, as docs/deploy.md says', async (context) => {
  const program = await orSkip(context, findNginx())
  if (program === null) return
  const ends: (() => Promise<unknown>)[] = []
  try {
    const database = await createDatabase('postgres+redis')
    ends.push(() => database.drop())
    const mailbox = await startMailbox()
    ends.push(() => mailbox.stop())
    const folder = await makeTemporaryFolder('deploy')
    ends.push(() => folder.remove())
    const upstreamPort = await findFreePort()
    const secret = join(folder.path, 'secret')
    await writeFile(secret, `${randomBytes(48).toString('base64')}\n`)
    const env = {
      ...(parseEnv(file('gatehouse.env')) as Record<string, string>),
      PORT: String(upstreamPort),
      GATEHOUSE_SECRET_FILE: secret,
      DATABASE_URL: database.databaseUrl,
      REDIS_URL: database.redisUrl as string,
      SMTP_URL: mailbox.url,
      DATA_DIR: folder.path,
    }
    const portal = startGatehouse(['serve'], env)
    ends.push(() => portal.kill())
    await portal.says(`Gatehouse is ready at https://${HOST}`)
    const nginx = await startNginx(program, {
      configuration: file('nginx.conf'),
      certificate: selfSigned.cert,
      key: selfSigned.key,
      upstreamPort,
    })
    ends.push(() => nginx.stop())

    const ask = (path: string, form?: Record<string, string>, headers: Record<string, string> = {}) =>
      askOverTls(nginx.httpsPort, path, form, headers)

    const user = ['user', 'create', '--username', 'ada', '--email', ada.email, '--password-stdin', '--email-verified']
    assert.equal((await gatehouse(user, env, `${ada.password}\n`)).code, 0)

    const plain = await fetch(`http://127.0.0.1:${nginx.httpPort}/login?a=b`, {
      headers: { Host: HOST },
      redirect: 'manual',
    })
    assert.equal(plain.status, 301)
    assert.match(plain.headers.get('location') ?? '', /^https:\/\/[^/]+\/login\?a=b$/)

    const discovery = await ask('/.well-known/openid-configuration')
    assert.equal((JSON.parse(discovery.body) as { issuer: string }).issuer, `https://${HOST}`)
    for (const path of ['/healthz', '/readyz', '/metrics']) {
      const { status, body } = await ask(path)
      assert.equal(status, 404)
      assert.match(body, /nginx/)
    }

    // An address that the client makes up does not count.
    const forged = { 'X-Forwarded-For': '203.0.113.7' }
    const signedIn = await ask('/login', { login: 'ada', password: ada.password }, forged)
    assert.equal(signedIn.status, 303)
    assert.match(signedIn.headers['strict-transport-security'] ?? '', /max-age=/)
    const cookies = signedIn.headers['set-cookie'] ?? []
    const identity = cookies.find((cookie) => cookie.startsWith('__Host-identity=')) ?? ''
    assert.match(identity, /; Secure/)
    const cookie = identity.split(';', 1)[0] as string
    const browsers = await ask('/sessions', undefined, { Cookie: cookie })
    assert.equal(browsers.status, 200)
    assert.ok(browsers.body.includes('127.0.0.1') && !browsers.body.includes('203.0.113.7'))

    // As long as a request to an app may be: nginx passes on its URL, and the address of the answer.
    const long = `/oauth/authorize?client_id=nothing&state=${'s'.repeat(9000)}`
    assert.equal((await ask(long)).status, 400)

    assert.equal((await ask('/forgot-password', { email: ada.email })).status, 200)
    const { links } = await mailbox.waitFor(({ recipients }) => recipients.includes(ada.email))
    assert.ok(links.some((link) => link.startsWith(`https://${HOST}/reset-password/`)))

    portal.child.kill('SIGTERM')
    assert.equal((await portal.finished).code, 0)
  } finally {
    for (const end of ends.toReversed()) await end()
  }
})

test('the unit for systemd is one that systemd accepts', async (context) => {
  const program = findProgram(thisMachine, 'systemd-analyze')
  if (program === null) return context.skip('there is no systemd-analyze')
  const folder = await makeTemporaryFolder('unit')
  try {
    // It looks whether the program that is started exists.
    const unit = join(folder.path, 'gatehouse.service')
    await writeFile(unit, file('gatehouse.service').replace('/usr/bin/node', process.execPath))
    const output = await run(program, ['verify', '--man=no', unit], { limit: LIMIT })
    assert.doesNotMatch(output, /gatehouse\.service/)
  } finally {
    await folder.remove()
  }
})

test('Caddy accepts its configuration', async (context) => {
  const program = findProgram(thisMachine, 'caddy')
  if (program === null) return context.skip('there is no caddy')
  await run(program, ['validate', '--adapter', 'caddyfile', '--config', join(import.meta.dirname, 'Caddyfile')], {
    limit: LIMIT,
  })
})

test('nginx and Caddy lead to the port of the settings and keep the same paths to the machine', () => {
  const { PORT = '', TRUST_PROXY } = parseEnv(file('gatehouse.env'))
  assert.equal(TRUST_PROXY, '1')
  assert.ok(file('nginx.conf').includes(`server 127.0.0.1:${PORT};`))
  assert.ok(file('Caddyfile').includes(`reverse_proxy 127.0.0.1:${PORT}\n`))
  for (const path of ['healthz', 'readyz', 'metrics']) {
    assert.ok(file('nginx.conf').includes(path) && file('Caddyfile').includes(`/${path}`))
  }
})

test('the scripts are shell', async () => {
  for (const name of ['backup.sh', 'gatehouse']) {
    await run('sh', ['-n', join(import.meta.dirname, name)], { limit: LIMIT })
  }
})

interface Answer {
  status: number
  headers: IncomingMessage['headers']
  body: string
}

/** Asks as a browser that trusts the certificate of the tests; a form is posted by a page of the portal itself. */
async function askOverTls(
  port: number,
  path: string,
  form: Record<string, string> | undefined,
  headers: Record<string, string>,
): Promise<Answer> {
  const sent = request({
    host: '127.0.0.1',
    port,
    path,
    method: form === undefined ? 'GET' : 'POST',
    headers: {
      Host: HOST,
      ...(form === undefined ? {} : { Origin: `https://${HOST}`, 'Content-Type': 'application/x-www-form-urlencoded' }),
      ...headers,
    },
    ca: selfSigned.cert,
    servername: 'notes.example.test',
    agent: false,
  })
  sent.end(form === undefined ? undefined : new URLSearchParams(form).toString())
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  return { status: response.statusCode ?? 0, headers: response.headers, body: await text(response) }
}
