import { createHash, randomBytes } from 'node:crypto'
import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { createPortal } from '../src/app.ts'
import { readConfig } from '../src/config.ts'
import { createApp } from '../src/domain/apps.ts'
import { rotate } from '../src/domain/families.ts'
import type { Portal } from '../src/domain/portal.ts'
import { pruneFamilies } from '../src/domain/pruning.ts'
import { hashRefreshToken, mintRefreshToken } from '../src/domain/refresh-tokens.ts'
import { createLogger } from '../src/logger.ts'
import { findFreePort } from '../src/storage/free-port.ts'
import { notesApp } from '../src/testing/apps.ts'
import { addFamilies, addPeople, peopleOf } from '../src/testing/crowd.ts'
import { type Running, startGatehouse } from '../src/testing/gatehouse.ts'
import { startPostgres } from '../src/testing/services/postgres.ts'
import { cpuOf, cpuOfTree, findPostmaster } from './growth-cpu.ts'
import { type HeldFamily, percentile, refreshAtRandom, type Sample } from './growth-load.ts'

// What growth costs: refreshes in a small and in a large table, the table after many rotations, refreshes beside pruning.
//   node bench/growth.ts [--families 5000000] [--rotations 1000000] [--quick] [--json]

const SMALL = 10_000
const APPS = 20
const HELD = 20_000
const CONNECTIONS = 32
const FILL_STEP = 250_000
const HOST = 'id.example.test'
const HISTORY_DAYS = 90

export interface GrowthOptions {
  families: number
  rotations: number
  /** Families of long ago that pruning has to work off. */
  backlog: number
  rounds: number
  /** Seconds in which one table is driven before it is the other's turn. */
  slice: number
  /** Prunes in this process instead of waiting for the portal's next minute. */
  prunesHere: boolean
  say: (line: string) => void
}

export interface Cost extends Waiting {
  families: number
  requests: number
  perSecond: number
  /** Microseconds of processor time for one request. */
  portalCpu: number
  postgresCpu: number
}

export interface Sizes {
  /** Bytes: with everything, of the rows, of each index. */
  total: number
  heap: number
  indexes: Record<string, number>
  updates: number
  hotUpdates: number
  dead: number
  autovacuums: number
}

export interface GrowthResult {
  small: Cost
  large: Cost
  /** What a refresh costs in the large table for one in the small: processor time of both, and requests a second. */
  cpuRatio: number
  speedRatio: number
  rotations: number
  before: Sizes
  after: Sizes
  backlog: { families: number; seconds: number; quiet: Waiting; pruning: Waiting }
}

/** How long those who refresh wait, in milliseconds, and how many were told once that the portal is too busy. */
export interface Waiting {
  p50: number
  p99: number
  refusals: number
}

interface Installation {
  families: number
  url: string
  db: pg.Client
  portal: Portal
  server: Running
  port: number
  clientIds: string[]
  held: HeldFamily[]
  postmaster: number
}

export const FULL: GrowthOptions = {
  families: 5_000_000,
  rotations: 1_000_000,
  backlog: 200_000,
  rounds: 6,
  slice: 8,
  prunesHere: false,
  say: (line) => console.error(line),
}
export const QUICK: GrowthOptions = {
  ...FULL,
  families: 200_000,
  rotations: 20_000,
  backlog: 20_000,
  rounds: 2,
  slice: 2,
  prunesHere: true,
}

export async function growth(options: GrowthOptions = FULL): Promise<GrowthResult> {
  const postgres = await startPostgres()
  options.say(postgres.origin)
  const open: Installation[] = []
  try {
    for (const families of [SMALL, options.families]) open.push(await install(postgres.url, families, options.say))
    const [small, large] = open as [Installation, Installation]
    const costs = await compare(small, large, options)
    // What follows is about the small one, and the other's last work in the background must not be in it.
    await close(large)
    open.pop()
    const bloat = await rotateMany(small, options)
    const backlog = await pruneUnderLoad(small, options)
    return { ...costs, rotations: options.rotations, ...bloat, backlog }
  } finally {
    // Told to end, we may find the server gone before us; its folder must go all the same.
    await Promise.allSettled(open.map(close))
    await postgres.stop()
  }
}

/** A database of that many families, and a portal on it. */
async function install(server: string, families: number, say: (line: string) => void): Promise<Installation> {
  const url = new URL(server)
  const name = `growth_${families}_${randomBytes(3).toString('hex')}`
  await administer(server, `CREATE DATABASE ${name}`)
  url.pathname = `/${name}`
  const db = new pg.Client({ connectionString: url.href })
  // A server that is told to end while we are at it says so here; whoever waits for an answer hears of it as well.
  db.on('error', () => {})
  await db.connect()

  const port = await findFreePort()
  const env = {
    NODE_ENV: 'production',
    PUBLIC_URL: `https://${HOST}`,
    HOST: '127.0.0.1',
    PORT: String(port),
    GATEHOUSE_SECRET: randomBytes(48).toString('base64url'),
    DATABASE_URL: url.href,
    LOG_LEVEL: 'warn',
  }
  // Whether a rotation survives a power cut makes no difference to the room it takes.
  const hasty = new URL(url)
  hasty.searchParams.set('options', '-c synchronous_commit=off')
  const portal = await createPortal(readConfig({ ...env, DATABASE_URL: hasty.href }), createLogger('silent'))

  const secrets = new Map<string, string>()
  for (let number = 0; number < APPS; number++) {
    const clientId = `app-${number}`
    secrets.set(clientId, (await createApp(portal, clientId, notesApp)).secret as string)
  }
  const start = performance.now()
  await fill(db, families, [...secrets.keys()])
  const held = await hold(db, portal, families, secrets)
  await db.query('VACUUM ANALYZE')
  await db.query('CHECKPOINT')
  say(`${families} families in ${seconds(performance.now() - start)} s`)

  const running = startGatehouse(['serve'], env)
  await running.says('Gatehouse is ready')
  pin(running.child.pid as number)
  const postmaster = await findPostmaster(db)
  return {
    families,
    url: url.href,
    db,
    portal,
    server: running,
    port,
    clientIds: [...secrets.keys()],
    held,
    postmaster,
  }
}

/** Without its indexes and references, which come back afterwards, a table of this size is filled in a minute. */
async function fill(db: pg.Client, families: number, clientIds: string[]): Promise<void> {
  const now = new Date()
  const people = peopleOf(families)
  await db.query('SET session_replication_role = replica')
  await db.query('SET synchronous_commit = off')
  await db.query(`SET maintenance_work_mem = '512MB'`)
  const indexes = await db.query<{ name: string; definition: string }>(
    `SELECT indexname AS name, indexdef AS definition FROM pg_indexes WHERE tablename = 'families' AND indexname <> 'families_pkey'`,
  )
  for (const { name } of indexes.rows) await db.query(`DROP INDEX ${name}`)
  await db.query('ALTER TABLE families DROP CONSTRAINT families_pkey')
  await addPeople(db, people, now)
  for (let from = 0; from < families; from += FILL_STEP) {
    const count = Math.min(FILL_STEP, families - from)
    await addFamilies(db, { families: { from, count }, people, clientIds, endedPercent: 0 }, now)
  }
  await db.query('ALTER TABLE families ADD CONSTRAINT families_pkey PRIMARY KEY (id)')
  for (const { definition } of indexes.rows) await db.query(definition)
  await db.query('RESET ALL')
}

/** Puts hashes of tokens that we know into families spread over the whole table. */
async function hold(
  db: pg.Client,
  portal: Portal,
  families: number,
  secrets: Map<string, string>,
): Promise<HeldFamily[]> {
  const count = Math.min(HELD, families)
  const tokens = new Map<string, string>()
  for (let index = 0; index < count; index++) {
    const id = familyIdOf(Math.floor((index * families) / count))
    tokens.set(id, mintRefreshToken(id, portal.secrets))
  }
  const result = await db.query<{ id: string; clientId: string }>(
    `UPDATE families f SET current_hash = held.hash, previous_hash = NULL, generation = 0, rotated_at = NULL
     FROM unnest($1::uuid[], $2::bytea[]) AS held (id, hash) WHERE f.id = held.id RETURNING f.id, f.client_id AS "clientId"`,
    [[...tokens.keys()], [...tokens.values()].map(hashRefreshToken)],
  )
  return result.rows.map(({ id, clientId }) => ({
    clientId,
    secret: secrets.get(clientId) as string,
    refreshToken: tokens.get(id) as string,
  }))
}

/** As the crowd computes it. */
function familyIdOf(number: number): string {
  const hash = createHash('md5').update(`family ${number}`).digest('hex')
  return hash.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/** Drives the two in turns, so that whatever else the machine does falls on both. */
async function compare(small: Installation, large: Installation, { rounds, slice, say }: GrowthOptions) {
  const runs = new Map<Installation, Run[]>([
    [small, []],
    [large, []],
  ])
  for (const installation of [small, large]) await drive(installation, Math.min(3, slice))
  for (let round = 0; round < rounds; round++) {
    for (const installation of round % 2 === 0 ? [small, large] : [large, small]) {
      const run = await drive(installation, slice)
      runs.get(installation)?.push(run)
      say(
        `round ${round + 1}, ${installation.families} families: ${(run.samples.length / run.seconds).toFixed(0)} a second`,
      )
    }
  }
  const costs = { small: costOf(small, runs.get(small) as Run[]), large: costOf(large, runs.get(large) as Run[]) }
  const cpu = ({ portalCpu, postgresCpu }: Cost) => portalCpu + postgresCpu
  return {
    ...costs,
    cpuRatio: cpu(costs.large) / cpu(costs.small),
    speedRatio: costs.large.perSecond / costs.small.perSecond,
  }
}

interface Run {
  samples: Sample[]
  seconds: number
  portalCpu: number
  postgresCpu: number
}

async function drive(installation: Installation, forSeconds: number): Promise<Run> {
  const { server, postmaster } = installation
  const cpu = () => [cpuOf(server.child.pid as number), cpuOfTree(postmaster)] as const
  const [portalBefore, postgresBefore] = cpu()
  const start = performance.now()
  const samples = await load(installation, () => performance.now() - start < forSeconds * 1000)
  const [portalAfter, postgresAfter] = cpu()
  return {
    samples,
    seconds: (performance.now() - start) / 1000,
    portalCpu: portalAfter - portalBefore,
    postgresCpu: postgresAfter - postgresBefore,
  }
}

async function load({ port, held }: Installation, goesOn: () => boolean): Promise<Sample[]> {
  return refreshAtRandom({ port, host: HOST, families: held, connections: CONNECTIONS, goesOn })
}

function costOf({ families }: Installation, runs: Run[]): Cost {
  const samples = runs.flatMap((run) => run.samples)
  const sum = (of: (run: Run) => number) => runs.reduce((total, run) => total + of(run), 0)
  return {
    families,
    requests: samples.length,
    perSecond: samples.length / sum((run) => run.seconds),
    portalCpu: sum((run) => run.portalCpu) / samples.length,
    postgresCpu: sum((run) => run.postgresCpu) / samples.length,
    ...waitingIn(samples),
  }
}

function waitingIn(samples: Sample[]): Waiting {
  const refusals = samples.reduce((sum, sample) => sum + sample.refusals, 0)
  return { p50: percentile(samples, 0.5), p99: percentile(samples, 0.99), refusals }
}

/** Rotations as the portal makes them, without HTTP in between, to see what they leave behind in the table. */
async function rotateMany({ db, portal, held }: Installation, { rotations, say }: GrowthOptions) {
  const before = await measure(db, 0)
  const start = performance.now()
  let left = rotations
  const place = { browser: 'bench', address: '127.0.0.1' }
  const work = Array.from({ length: CONNECTIONS }, async (_, caller) => {
    const own = held.filter((_, index) => index % CONNECTIONS === caller)
    while (left-- > 0) {
      const family = own[Math.floor(Math.random() * own.length)] as HeldFamily
      const { refreshToken, clientId } = family
      const rotation = await rotate(portal, { refreshToken, clientId, scopes: null, jkt: null, place })
      if (rotation.kind !== 'rotated') throw new Error(JSON.stringify(rotation))
      family.refreshToken = rotation.refreshToken
    }
  })
  await Promise.all(work)
  say(`${rotations} rotations in ${seconds(performance.now() - start)} s`)
  return { before, after: await measure(db, before.updates + rotations) }
}

/** The server counts late, so this waits a moment for so many updates. */
async function measure(db: pg.Client, expectedUpdates: number): Promise<Sizes> {
  for (let tries = 0; ; tries++) {
    const table = await db.query<Omit<Sizes, 'indexes'>>(
      `SELECT pg_total_relation_size(relid)::float8 AS total, pg_relation_size(relid)::float8 AS heap, n_tup_upd::float8 AS updates,
         n_tup_hot_upd::float8 AS "hotUpdates", n_dead_tup::float8 AS dead, autovacuum_count::int AS autovacuums
       FROM pg_stat_user_tables WHERE relname = 'families'`,
    )
    const found = table.rows[0] as Omit<Sizes, 'indexes'>
    if (found.updates < expectedUpdates && tries < 100) {
      await sleep(100)
      continue
    }
    const indexes = await db.query<{ name: string; size: number }>(
      `SELECT indexrelname AS name, pg_relation_size(indexrelid)::float8 AS size FROM pg_stat_user_indexes WHERE relname = 'families' ORDER BY 1`,
    )
    return { ...found, indexes: Object.fromEntries(indexes.rows.map(({ name, size }) => [name, size])) }
  }
}

/** Refreshes while families of long ago are worked off, and the same without that. */
async function pruneUnderLoad(installation: Installation, { backlog, slice, prunesHere, say }: GrowthOptions) {
  const { db, portal, clientIds } = installation
  const quiet = await drive(installation, slice * 2)
  const longAgo = new Date(Date.now() - 2 * HISTORY_DAYS * 86_400_000)
  const people = peopleOf(SMALL)
  const crowd = { families: { from: 1_000_000_000, count: backlog }, people, clientIds, endedPercent: 100 }
  await addFamilies(db, crowd, longAgo)
  await db.query('ANALYZE families')

  let isOver = false
  const loading = load(installation, () => !isOver)
  // A failure of the load ends the waiting as well, and is thrown below.
  loading.catch(() => (isOver = true))
  const left = async () =>
    (await db.query<{ count: number }>('SELECT count(*)::int AS count FROM families WHERE ended_at <= $1', [longAgo]))
      .rows[0]?.count as number
  const atFirst = await left()
  // The portal works off so many in a round, and begins one every minute; the first is enough to see what it does.
  const enough = Math.min(atFirst, prunesHere ? backlog : 100_000)
  const pruning = prunesHere ? pruneFamilies(portal) : Promise.resolve(0)
  while (!isOver && (await left()) === atFirst) await sleep(100)
  const start = performance.now()
  while (!isOver && (await left()) > atFirst - enough) await sleep(500)
  const end = performance.now()
  isOver = true
  await pruning
  const during = (await loading).filter(({ at }) => at >= start && at <= end)
  say(`${enough} families pruned in ${seconds(end - start)} s`)
  return {
    families: enough,
    seconds: (end - start) / 1000,
    quiet: waitingIn(quiet.samples),
    pruning: waitingIn(during),
  }
}

async function close({ db, portal, server, url }: Installation): Promise<void> {
  await server.kill()
  await portal.storage.close()
  await db.end()
  const administration = new URL(url)
  administration.pathname = '/postgres'
  await administer(administration.href, `DROP DATABASE ${new URL(url).pathname.slice(1)} WITH (FORCE)`)
}

async function administer(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}

/** The portal gets a core of its own where there is more than one; without taskset it goes where the system puts it. */
function pin(pid: number): void {
  if (availableParallelism() > 1) spawnSync('taskset', ['--all-tasks', '--cpu-list', '--pid', '0', String(pid)])
}

export function describeGrowth(result: GrowthResult): string {
  const { small, large, before, after, backlog } = result
  const ratio = (of: (cost: Cost) => number) => (of(large) / of(small)).toFixed(2)
  const row = (words: string, of: (cost: Cost) => number, digits: number) =>
    `| ${words} | ${of(small).toFixed(digits)} | ${of(large).toFixed(digits)} | ${ratio(of)} |`
  const hot = (after.hotUpdates - before.hotUpdates) / (after.updates - before.updates)
  return [
    `| ${CONNECTIONS} connections refresh at random | ${small.families} families | ${large.families} families | ratio |`,
    '| --- | ---: | ---: | ---: |',
    row('requests a second', (cost) => cost.perSecond, 0),
    row('CPU of the portal, µs a request', (cost) => cost.portalCpu, 0),
    row('CPU of PostgreSQL, µs a request', (cost) => cost.postgresCpu, 0),
    row('CPU of both, µs a request (goal: 1.15 at most)', (cost) => cost.portalCpu + cost.postgresCpu, 0),
    row('p50, ms', (cost) => cost.p50, 1),
    row('p99, ms', (cost) => cost.p99, 1),
    `| answers "too busy" | ${small.refusals} | ${large.refusals} | |`,
    '',
    `| table of ${small.families} families | before | after ${result.rotations} rotations |`,
    '| --- | ---: | ---: |',
    `| total, KiB | ${kib(before.total)} | ${kib(after.total)} |`,
    `| rows, KiB | ${kib(before.heap)} | ${kib(after.heap)} |`,
    ...Object.entries(after.indexes).map(
      ([name, size]) => `| ${name}, KiB | ${kib(before.indexes[name] ?? Number.NaN)} | ${kib(size)} |`,
    ),
    `| dead rows | ${before.dead} | ${after.dead} |`,
    `| HOT updates | | ${(hot * 100).toFixed(2)} % |`,
    `| runs of autovacuum | ${before.autovacuums} | ${after.autovacuums} |`,
    '',
    `| refreshes beside pruning (${backlog.families} families in ${backlog.seconds.toFixed(1)} s) | without | while pruning |`,
    '| --- | ---: | ---: |',
    `| p50, ms | ${backlog.quiet.p50.toFixed(1)} | ${backlog.pruning.p50.toFixed(1)} |`,
    `| p99, ms | ${backlog.quiet.p99.toFixed(1)} | ${backlog.pruning.p99.toFixed(1)} |`,
    `| answers "too busy" | ${backlog.quiet.refusals} | ${backlog.pruning.refusals} |`,
  ].join('\n')
}

function kib(bytes: number): string {
  return (bytes / 1024).toFixed(0)
}

function seconds(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(1)
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      families: { type: 'string' },
      rotations: { type: 'string' },
      quick: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  })
  const preset = values.quick ? QUICK : FULL
  const result = await growth({
    ...preset,
    families: Number(values.families ?? preset.families),
    rotations: Number(values.rotations ?? preset.rotations),
  })
  console.log(values.json ? JSON.stringify(result, null, 2) : describeGrowth(result))
}
