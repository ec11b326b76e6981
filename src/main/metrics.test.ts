import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { parser } from '@prometheus-io/lezer-promql'
import { parse } from 'yaml'
import { createApp } from '../domain/apps/apps.ts'
import { endFamilies } from '../domain/endings/endings.ts'
import { REFRESH_OUTCOMES, REFRESH_REFUSALS } from '../domain/metrics.ts'
import type { Services } from '../domain/services.ts'
import { createLogger } from '../logger.ts'
import { findFreePort } from '../storage/embedded/free-port.ts'
import { Browser } from '../testing/browser/browser.ts'
import { Client } from '../testing/browser/client.ts'
import { type Outage, standBefore } from '../testing/network/outage.ts'
import { send } from '../testing/network/wire.ts'
import { notesApp } from '../testing/portal/apps.ts'
import { type Connection, connect } from '../testing/portal/connections.ts'
import { createDatabase, type TestDatabase } from '../testing/portal/databases.ts'
import { type Running, startGatehouse } from '../testing/portal/gatehouse.ts'
import { addIdentity } from '../testing/portal/identities.ts'
import { readMetrics, type Series, sumOf } from '../testing/portal/metrics.ts'
import { TEST_SECRET, testConfig } from '../testing/portal/open-portal.ts'
import { ada } from '../testing/portal/people.ts'
import { openServices } from './services.ts'

const ROOT = join(import.meta.dirname, '../..')
const TOKEN = 'a-token-of-the-scraper'
const FAMILIES = 6

let database: TestDatabase
let postgres: Outage
let services: Services
let adaId: string
let port: number
let portal: Running
let notes: Client
let strict: Client

before(async () => {
  database = await createDatabase()
  postgres = await standBefore(database.databaseUrl)
  port = await findFreePort()
  services = await openServices(testConfig(database, { PORT: String(port) }), createLogger('silent'))
  adaId = await addIdentity(services, ada)
  const url = `http://localhost:${port}`
  notes = new Client(url, 'notes', (await createApp(services, 'notes', notesApp)).secret, '')
  const graceless = { ...notesApp, name: 'Strict', audience: 'strict', rotationGrace: 0, rotationGraceProven: 0 }
  strict = new Client(url, 'strict', (await createApp(services, 'strict', graceless)).secret, '')
  portal = startGatehouse(['serve'], {
    PORT: String(port),
    DATABASE_URL: postgres.url,
    GATEHOUSE_SECRET: TEST_SECRET,
    WORKERS: '2',
    METRICS_TOKEN: TOKEN,
    LOGIN_ATTEMPTS_BEFORE_DELAY: '100',
    IP_BLOCK_AFTER: '0',
  })
  await portal.says('Apps discover it')
})
after(async () => {
  await portal.kill()
  await portal.finished
  await services.passwords.close()
  await services.storage.close()
  await postgres.close()
  await database.drop()
})

async function scrape(): Promise<Series[]> {
  const headers = { host: 'scraped.internal', authorization: `Bearer ${TOKEN}` }
  const { status, body } = await send(port, { path: '/metrics', headers })
  assert.equal(status, 200)
  return readMetrics(body)
}

/** What the clients have counted. */
const counted: Record<string, number> = {}
function count(what: string): void {
  counted[what] = (counted[what] ?? 0) + 1
}

/** Refreshes on a connection of its own, so now at one worker, now at the other. @returns the successor */
async function refresh(client: Client, token: string, isGraceHit = false): Promise<string | null> {
  const response = await client.refresh(token, {}, { connection: 'close' })
  const body = (await response.json()) as Record<string, string>
  count(`status ${response.status}`)
  if (response.status === 200) {
    count(isGraceHit ? 'grace' : 'rotated')
    return body['refresh_token'] as string
  }
  count(response.status >= 500 ? 'failed' : 'refused')
  if (response.status < 500) count(`refused ${body['reason'] ?? body['error']}`)
  return null
}

async function turn(client: Client, token: string): Promise<string> {
  return (await refresh(client, token)) as string
}

/** One family's life: it rotates, an answer is lost, and in the end it comes to grief in one way or the other. */
async function live(family: Connection, which: number): Promise<void> {
  const wrong = new Client(`http://localhost:${port}`, 'notes', 'wrong', '')
  const client = family.clientId === 'notes' ? notes : strict
  const first = family.refreshToken
  const second = await turn(client, first)
  if (client === notes) await refresh(client, first, true)
  const third = await turn(client, second)
  await refresh(client, 'nonsense')
  await refresh(wrong, third)
  if (client === strict) await refresh(client, first)
  else if (which % 2 === 0) await endFamilies(services, { id: family.familyId }, 'ended_by_person', null)
  else
    await services.storage.pool.query(`UPDATE families SET expires_at = now() - interval '1 day' WHERE id = $1`, [
      family.familyId,
    ])
  await refresh(client, third)
}

async function load(): Promise<void> {
  const families = await Promise.all(
    Array.from({ length: FAMILIES }, async (_, number) =>
      connect(services, adaId, number % 3 === 0 ? 'strict' : 'notes'),
    ),
  )
  await Promise.all(families.map(live))
}

async function assertCounted(): Promise<Series[]> {
  const series = await scrape()
  const named = (name: string, label: string, of: string) => sumOf(series, name, { [label]: of })
  assert.deepEqual(
    {
      ...Object.fromEntries(REFRESH_OUTCOMES.map((of) => [of, named('gatehouse_refreshes_total', 'outcome', of)])),
      ...Object.fromEntries(
        REFRESH_REFUSALS.map((of) => [`refused ${of}`, named('gatehouse_refresh_refusals_total', 'reason', of)]),
      ),
    },
    {
      ...Object.fromEntries(REFRESH_OUTCOMES.map((of) => [of, counted[of] ?? 0])),
      ...Object.fromEntries(REFRESH_REFUSALS.map((of) => [`refused ${of}`, counted[`refused ${of}`] ?? 0])),
    },
  )
  for (const [what, number] of Object.entries(counted).filter(([each]) => each.startsWith('status '))) {
    const labels = { route: '/oauth/token', method: 'POST', status: what.slice('status '.length) }
    assert.equal(sumOf(series, 'gatehouse_http_requests_total', labels), number, what)
  }
  const timed = sumOf(series, 'gatehouse_http_request_duration_seconds_count', { route: '/oauth/token' })
  assert.equal(timed, sumOf(series, 'gatehouse_http_requests_total', { route: '/oauth/token' }))
  return series
}

/** The labels of each metric, as the documentation has them. */
async function readDocumentedLabels(): Promise<Map<string, string[]>> {
  const document = await readFile(join(ROOT, 'docs/metrics.md'), 'utf8')
  return new Map(
    [...document.matchAll(/^\| `(gatehouse_\w+)` +\| \w+ +\| (.*?) *\|/gm)].map(([, name, labels]) => [
      name as string,
      [...(labels as string).matchAll(/\w+/g)].map(([label]) => label),
    ]),
  )
}

interface Alert {
  alert: string
  expr: string
  for?: string
  labels: Record<string, string>
  annotations: Record<string, string>
}

/** @throws for a file of another form than Prometheus takes */
async function readAlerts(): Promise<Alert[]> {
  const file = parse(await readFile(join(ROOT, 'deploy/prometheus-alerts.yaml'), 'utf8'), { strict: true }) as {
    groups: { name: string; rules: Alert[] }[]
  }
  assert.deepEqual(Object.keys(file), ['groups'])
  for (const group of file.groups) assert.deepEqual(Object.keys(group), ['name', 'rules'])
  return file.groups.flatMap(({ rules }) => rules)
}

/** The expressions of the dashboard, with a value for the variable that Grafana puts in. */
async function readPanels(): Promise<string[]> {
  const { panels } = JSON.parse(await readFile(join(ROOT, 'deploy/grafana-dashboard.json'), 'utf8')) as {
    panels: { targets: { expr: string }[] }[]
  }
  return panels.flatMap(({ targets }) => targets.map(({ expr }) => expr.replaceAll('$__rate_interval', '5m')))
}

/** What an expression asks for, and how many errors the parser of Prometheus finds in it. */
function readPromQl(expression: string) {
  let faults = 0
  const selectors: { metric: string; matchers: string[] }[] = []
  const groupings: string[] = []
  parser.parse(expression).iterate({
    enter({ type, from, to, node }) {
      const text = expression.slice(from, to)
      if (type.isError) faults++
      if (type.name === 'VectorSelector') selectors.push({ metric: text.split('{', 1)[0] as string, matchers: [] })
      if (type.name === 'LabelName')
        (node.parent?.name === 'GroupingLabels' ? groupings : (selectors.at(-1)?.matchers ?? [])).push(text)
    },
  })
  return { faults, selectors, groupings }
}

/** Counters that are lower than before. */
function fallen(earlier: Series[], later: Series[]): string[] {
  const keyOf = ({ name, labels }: Series) => `${name} ${JSON.stringify(labels)}`
  const now = new Map(later.map((each) => [keyOf(each), each.value]))
  return earlier
    .filter(({ name }) => /_(total|bucket|sum|count)$/.test(name))
    .filter((each) => (now.get(keyOf(each)) ?? -1) < each.value)
    .map(keyOf)
}

test('what two workers count under load is what their clients have counted', async () => {
  const loading = load()
  let earlier = await scrape()
  for (let turns = 0; turns < 5; turns++) {
    const later = await scrape()
    assert.deepEqual(fallen(earlier, later), [])
    earlier = later
  }
  await loading
  const series = await assertCounted()
  assert.equal(sumOf(series, 'gatehouse_worker_processes', { state: 'answering' }), 2)
  for (const outcome of ['rotated', 'grace', 'refused']) assert.ok((counted[outcome] ?? 0) > 0, outcome)
  for (const reason of ['unknown', 'expired', 'reused', 'revoked', 'invalid_client'])
    assert.ok((counted[`refused ${reason}`] ?? 0) > 0, reason)
  // By app it is counted where the app is known, and families by what happened to them.
  assert.equal(
    sumOf(series, 'gatehouse_app_refreshes_total', { outcome: 'rotated' }),
    (counted['rotated'] as number) + (counted['grace'] as number),
  )
  const { rows } = await services.storage.pool.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM families WHERE end_cause IN ('reuse', 'own_reuse')`,
  )
  assert.equal(sumOf(series, 'gatehouse_refresh_token_reuses_total', { app: 'strict' }), rows[0]?.count)
})

test('sign-ins are counted by outcome and method, and hashing, statements and the event loop are measured', async () => {
  const browser = new Browser(`http://localhost:${port}`)
  await browser.signIn(ada)
  const other = new Browser(`http://localhost:${port}`)
  for (const login of ['ada', 'not-a-user']) await other.post('/login', { login, password: 'CANARY-password' })
  const series = await assertCounted()
  const signIns = (outcome: string) => sumOf(series, 'gatehouse_sign_ins_total', { outcome, method: 'password' })
  assert.deepEqual([signIns('signed_in'), signIns('refused')], [1, 2])
  // Ada's hash costs less than the portal's do, so it is made anew.
  assert.equal(sumOf(series, 'gatehouse_password_hashing_wait_seconds_count'), 4)
  assert.ok(sumOf(series, 'gatehouse_store_duration_seconds_count', { store: 'postgres', outcome: 'ok' }) > 50)
  assert.ok(sumOf(series, 'gatehouse_pool_wait_seconds_count') > 50)
  assert.ok(series.some(({ name }) => name === 'gatehouse_nodejs_eventloop_lag_p99_seconds'))
})

test('a rolling restart under load loses no count', async () => {
  const before = await scrape()
  const loading = load()
  portal.child.kill('SIGHUP')
  await Promise.all([loading, portal.says('every worker has been restarted')])
  await load()
  const series = await assertCounted()
  assert.deepEqual(fallen(before, series), [])
})

test('a worker that is killed takes no count with it that was shown', async () => {
  await load()
  const shown = await assertCounted()
  const [victim] = [...portal.printed().matchAll(/"pid":(\d+),"requestId"/g)].map(([, pid]) => Number(pid)).slice(-1)
  process.kill(victim as number, 'SIGKILL')
  await portal.says(`"pid":${victim},"code":null,"signal":"SIGKILL"`)
  await load()
  assert.deepEqual(fallen(shown, await assertCounted()), [])
})

test('without the database a refresh counts as failed, and a scrape says which store is away', async () => {
  const family = await connect(services, adaId, 'notes')
  await postgres.cut()
  await refresh(notes, family.refreshToken)
  assert.equal(counted['failed'], 1)
  let series = await assertCounted()
  // What was read before is shown for a few seconds more.
  while (sumOf(series, 'gatehouse_store_up', { store: 'postgres' }) === 1) series = await scrape()
  assert.deepEqual(
    series.filter(({ name }) => name.startsWith('gatehouse_queue_')),
    [],
  )
  await postgres.restore()
  while (sumOf(series, 'gatehouse_store_up', { store: 'postgres' }) === 0) series = await scrape()
  assert.ok(series.some(({ name, labels }) => name === 'gatehouse_queue_jobs' && labels['queue'] === 'mail'))
})

test('no label is of a client’s choosing, and nothing secret is shown', async () => {
  for (const path of [
    '/CANARY',
    '/families/CANARY',
    '/reset-password/CANARY?token=CANARY',
    '/api/admin/v1/apps/CANARY',
  ])
    await send(port, { path, headers: { host: `localhost:${port}` } })
  await send(port, { path: '/login', method: 'CANARY', headers: { host: `localhost:${port}` } })
  await notes.refresh('CANARY', { client_id: 'CANARY' })
  const { body } = await send(port, { path: '/metrics', headers: { host: `localhost:${port}` } })
  assert.doesNotMatch(body, /CANARY/)
  const routes = new Set(readMetrics(body).map(({ labels }) => labels['route']))
  for (const route of ['other', '/families/:id', '/reset-password/:token', '/api/admin/v1/apps/{client_id}', '/login'])
    assert.ok(routes.has(route), route)
})

test('the documentation has every metric, with its type and labels', async () => {
  const { body } = await send(port, { path: '/metrics', headers: { host: `localhost:${port}` } })
  const document = await readFile(join(import.meta.dirname, '../../docs/metrics.md'), 'utf8')
  const documented = new Map(
    [...document.matchAll(/^\| `(gatehouse_\w+)` +\| (\w+) +\| (.*?) *\|/gm)].map(([, name, type, labels]) => [
      name,
      `${type} ${labels?.replaceAll('`', '')}`.trim(),
    ]),
  )
  const series = readMetrics(body)
  const labelsOf = (name: string) =>
    Object.keys(series.find((each) => each.name === name || each.name === `${name}_count`)?.labels ?? {})
  const shown = [...body.matchAll(/^# TYPE (gatehouse_\w+) (\w+)$/gm)]
    .filter(([, name]) => !/^gatehouse_(process|nodejs)_/.test(name as string))
    .map(([, name, type]) => [name, `${type} ${labelsOf(name as string).join(', ')}`.trim()] as const)
  for (const [name, as] of shown) {
    // No mail and no notification was sent, and their series begin with one.
    const isEmpty = !series.some((each) => each.name.startsWith(name as string))
    assert.equal(isEmpty ? documented.get(name as string)?.split(' ')[0] : documented.get(name as string), as, name)
  }
  assert.deepEqual(
    [...documented.keys()].filter((name) => !shown.some(([each]) => each === name)),
    [],
  )
})

test('alerts and dashboard ask for metrics that there are, by labels that they have', async () => {
  const { body } = await send(port, { path: '/metrics', headers: { host: `localhost:${port}` } })
  const labelsOf = await readDocumentedLabels()
  for (const [, name, type] of body.matchAll(/^# TYPE (gatehouse_(?:process|nodejs)_\w+) (\w+)$/gm))
    labelsOf.set(name as string, type === 'histogram' ? ['kind'] : [])
  const rules = await readAlerts()
  const asked = [...rules.map(({ expr }) => expr), ...(await readPanels())]
  for (const expression of asked) {
    const { faults, selectors, groupings } = readPromQl(expression)
    assert.equal(faults, 0, expression)
    assert.ok(selectors.length > 0, expression)
    for (const { metric, matchers } of selectors) {
      const base = metric.replace(/_(bucket|sum|count)$/, '')
      const labels = labelsOf.get(metric) ?? labelsOf.get(base)
      assert.ok(labels !== undefined, `${metric} in ${expression}`)
      const known = new Set([...labels, 'instance', ...(metric.endsWith('_bucket') ? ['le'] : [])])
      for (const label of [...matchers, ...groupings]) assert.ok(known.has(label), `${label} in ${expression}`)
    }
  }
})

test('the file of alerts is one that Prometheus loads, and each alert says what to do', async () => {
  const rules = await readAlerts()
  const document = await readFile(join(ROOT, 'docs/metrics.md'), 'utf8')
  assert.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length)
  for (const { alert, expr, for: pending, labels, annotations, ...more } of rules) {
    assert.deepEqual(more, {}, alert)
    assert.match(alert, /^Gatehouse[A-Z]\w+$/)
    assert.equal(typeof expr, 'string')
    assert.match(pending ?? '0s', /^\d+[smhd]$/)
    assert.match(labels['severity'] ?? '', /^(warning|critical)$/)
    assert.deepEqual(Object.keys(annotations).toSorted(), ['runbook_url', 'summary'])
    assert.equal(annotations['runbook_url'], `docs/metrics.md#${alert.toLowerCase()}`)
    assert.ok(document.includes(`\n### ${alert}\n`), alert)
    // What a summary names must be left of the series.
    for (const [, label] of (annotations['summary'] ?? '').matchAll(/\$labels\.(\w+)/g))
      assert.ok(readPromQl(expr).groupings.includes(label as string), alert)
  }
})

test('strangers do not see that there are metrics', async () => {
  const local = { host: `localhost:${port}` }
  const ask = async (headers: Record<string, string>, method = 'GET') =>
    send(port, { path: '/metrics', method, headers: { ...local, ...headers } })
  const unknown = await send(port, { path: '/nothing', headers: { ...local, 'x-forwarded-for': '203.0.113.9' } })
  assert.equal(unknown.status, 404)
  for (const headers of [
    { 'x-forwarded-for': '203.0.113.9' },
    { forwarded: 'for=203.0.113.9' },
    { via: '1.1 proxy' },
    { authorization: 'Bearer wrong' },
    { authorization: `Basic ${TOKEN}` },
    { authorization: `Bearer ${TOKEN}x` },
    { authorization: 'Bearer ' },
  ] as Record<string, string>[]) {
    const refused = await ask(headers)
    assert.equal(refused.status, 404, JSON.stringify(headers))
    assert.equal(refused.headers['content-type'], unknown.headers['content-type'])
  }
  // A proxy on this machine passes on the name that was asked for.
  assert.equal((await ask({ host: 'id.example.test' })).status, 421)
  assert.equal((await ask({}, 'HEAD')).body, '')
  assert.equal((await ask({}, 'POST')).status, 405)
  for (const headers of [{}, { host: `127.0.0.1:${port}` }, { authorization: `bearer ${TOKEN}` }] as Record<
    string,
    string
  >[])
    assert.equal((await ask(headers)).status, 200, JSON.stringify(headers))
  assert.equal((await ask({ authorization: `Bearer ${TOKEN}`, 'x-forwarded-for': '203.0.113.9' })).status, 200)
})
