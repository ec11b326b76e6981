import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createApp } from '../domain/apps/apps.ts'
import type { Services } from '../domain/services.ts'
import { createLogger } from '../logger.ts'
import { findFreePort } from '../storage/embedded/free-port.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client } from '../testing/browser/client.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { createDatabase, type TestDatabase } from '../testing/portal/databases.ts'
import { startGatehouse } from '../testing/portal/gatehouse.ts'
import { addIdentity } from '../testing/portal/identities.ts'
import { TEST_SECRET, testConfig } from '../testing/portal/open-portal.ts'
import { ada } from '../testing/portal/people.ts'
import { openServices } from './services.ts'
import { wantsTraces } from './tracing.ts'

interface Span {
  traceId: string
  spanId: string
  parentSpanId?: string
  name: string
  kind: number
  attributes: { key: string; value: Record<string, unknown> }[]
}

const SERVER = 2
const CLIENT = 3

let database: TestDatabase
let services: Services
let secret: string
let port: number
/** What the collector was sent, and what an app was told. */
const exported: string[] = []
const told: IncomingMessage['headers'][] = []
const outside = createServer((req, res) => {
  const chunks: Buffer[] = []
  req.on('data', (chunk: Buffer) => chunks.push(chunk))
  req.on('end', () => {
    if (req.url === '/v1/traces') exported.push(Buffer.concat(chunks).toString())
    else told.push(req.headers)
    res.writeHead(200, { 'Content-Type': 'application/json' }).end('{}')
  })
})
let outsideUrl: string

before(async () => {
  outside.listen(0, '127.0.0.1')
  await once(outside, 'listening')
  outsideUrl = `http://127.0.0.1:${(outside.address() as AddressInfo).port}`
  database = await createDatabase('postgres+redis')
  port = await findFreePort()
  services = await openServices(testConfig(database, { PORT: String(port) }), createLogger('silent'))
  await addIdentity(services, ada)
  const app = { ...notesApp, backchannelLogoutUri: `${outsideUrl}/logout` }
  secret = (await createApp(services, 'notes', app)).secret as string
})
after(async () => {
  await services.passwords.close()
  await services.storage.close()
  await database.drop()
  outside.close()
})

function start(env: Record<string, string>) {
  return startGatehouse(['serve'], {
    PORT: String(port),
    DATABASE_URL: database.databaseUrl,
    REDIS_URL: database.redisUrl as string,
    GATEHOUSE_SECRET: TEST_SECRET,
    WORKERS: '2',
    // Says which of the packages is loaded.
    NODE_OPTIONS: `--import=data:text/javascript,import{registerHooks}from'node:module';registerHooks({resolve(s,c,n){if(s.includes('@opentelemetry'))process.stderr.write('loads:'+s+';');return(n(s,c))}})`,
    ...env,
  })
}

/** Signs in, refreshes, and ends the family, whose app is told. */
async function act(): Promise<void> {
  const url = `http://localhost:${port}`
  const browser = new Browser(url)
  await browser.signIn(ada)
  const client = new Client(url, 'notes', secret, notesApp.redirectUris[0] as string)
  const tokens = await client.connect(browser, { state: 'CANARY-state' })
  const response = await client.refresh(
    tokens.refresh_token,
    {},
    { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` },
  )
  assert.equal(response.status, 200)
  const successor = ((await response.json()) as { refresh_token: string }).refresh_token
  await browser.get('/reset-password/CANARY-link?x=CANARY-query')
  const before = told.length
  await client.revoke(successor)
  await browser.post('/logout', {})
  while (told.length === before) await sleep(20)
  secrets.push(tokens.refresh_token, successor, tokens.access_token)
}
const secrets: string[] = []

test('a refresh is one trace of the request and its statement, and no secret leaves with it', async () => {
  const portal = start({ OTEL_EXPORTER_OTLP_ENDPOINT: outsideUrl, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' })
  await portal.says('Apps discover it')
  await act()
  portal.child.kill('SIGTERM')
  assert.equal((await portal.finished).code, 0)

  const spans = exported.flatMap((text) =>
    (JSON.parse(text) as { resourceSpans: { scopeSpans: { spans: Span[] }[] }[] }).resourceSpans
      .flatMap(({ scopeSpans }) => scopeSpans)
      .flatMap(({ spans: those }) => those),
  )
  const attribute = (span: Span, key: string) =>
    Object.values(span.attributes.find((each) => each.key === key)?.value ?? {})[0]
  const refresh = spans.filter(({ traceId }) => traceId === 'a'.repeat(32))
  const request = refresh.find(({ kind }) => kind === SERVER)
  assert.equal(request?.name, 'POST /oauth/token')
  assert.equal(request.parentSpanId, 'b'.repeat(16))
  assert.equal(Number(attribute(request, 'http.response.status_code')), 200)
  const statements = refresh.filter((span) => span.kind === CLIENT && span.name.startsWith('pg'))
  assert.ok(statements.length > 0, refresh.map(({ name }) => name).join())
  for (const kind of ['redis', 'POST'])
    assert.ok(
      spans.some((span) => span.kind === CLIENT && (attribute(span, 'db.system.name') ?? span.name) === kind),
      `${kind}: ${spans.map(({ name }) => name).join()}`,
    )

  const all = exported.join()
  for (const known of [...secrets, secret, ada.password, 'CANARY', 'db.query.text', 'db.statement'])
    assert.equal(all.includes(known), false, known)
  // An app learns nothing of the traces of the portal.
  assert.ok(told.every((headers) => headers['traceparent'] === undefined))
})

test('without the variables no module of OpenTelemetry is loaded', async () => {
  const portal = start({ OTEL_SERVICE_NAME: 'portal' })
  await portal.says('Apps discover it')
  await act()
  portal.child.kill('SIGTERM')
  const { code, stderr } = await portal.finished
  assert.equal(code, 0)
  assert.equal(stderr, '')
})

test('traces are wanted by serve and worker, where a variable says where to', () => {
  const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' }
  assert.equal(wantsTraces(endpoint, 'serve'), true)
  assert.equal(wantsTraces(endpoint, 'worker'), true)
  assert.equal(wantsTraces(endpoint, 'user'), false)
  assert.equal(wantsTraces({ ...endpoint, OTEL_SDK_DISABLED: 'true' }, 'serve'), false)
  assert.equal(wantsTraces({ ...endpoint, OTEL_TRACES_EXPORTER: 'none' }, 'serve'), false)
  assert.equal(wantsTraces({ OTEL_TRACES_EXPORTER: 'otlp' }, 'serve'), true)
  assert.equal(wantsTraces({}, 'serve'), false)
  const empty = { OTEL_EXPORTER_OTLP_ENDPOINT: '', OTEL_TRACES_EXPORTER: '', OTEL_SDK_DISABLED: '' }
  assert.equal(wantsTraces(empty, 'serve'), false)
  assert.equal(wantsTraces({ ...empty, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://collector/' }, 'serve'), true)
})
