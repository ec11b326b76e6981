import { setTimeout as sleep } from 'node:timers/promises'
import type { Tokens } from '../src/testing/browser/client.ts'
import { claimsOf } from '../src/testing/browser/client.ts'
import { findFreePort } from '../src/storage/embedded/free-port.ts'
import { makeTemporaryFolder } from '../src/testing/services/temporary-folder.ts'
import { type Answer, Connection } from './connection.ts'
import { pinCores } from './cores.ts'
import { median, medianOrNull } from './figures.ts'
import { runSlice } from './load.ts'
import { describeMachine } from './machine.ts'
import type { Options } from './options.ts'
import { publish, say } from './output.ts'
import { cpuOfFamily } from './processes.ts'
import { getRequest } from './requests.ts'
import {
  type Cost,
  type Delays,
  DELAY_GOAL_MS,
  describeRevocation,
  ratioOf,
  summariseDelays,
  WAYS,
  type Way,
} from './revocation/report.ts'
import { signedInBrowser } from './scenarios/families.ts'
import { MACHINE_CONCURRENCY } from './scenarios/scenario.ts'
import { withStores } from './stores.ts'
import { install } from './subjects/installation.ts'
import { startPortal } from './subjects/portal.ts'
import { AUDIENCE, clientOf, type Person, type RunningProgram, startProcess, type Subject } from './subjects/subject.ts'

type Api = RunningProgram & { port: number }

/** How soon an API that verifies offline refuses an ended family's tokens, and what each way costs. @returns the exit code */
export async function runRevocation(options: Options): Promise<number> {
  const cores = pinCores(options.cores ?? 'none')
  const count = options.rounds ?? (options.quick ? 15 : 100)
  return withStores(false, async ({ postgres, server }) => {
    const portal = await install(startPortal, postgres.url, {
      redisUrl: null,
      prefix: cores.prefix,
      profileFolder: null,
      env: {},
    })
    const folder = await makeTemporaryFolder('bench-api')
    try {
      const api = await startApi(portal, folder.path)
      try {
        const delays: Delays[] = []
        for (const way of WAYS) {
          delays.push(summariseDelays(way, await measureDelays(portal, api, way, count)))
          say(`${way}: ${delays.at(-1)?.p50_ms} ms`)
        }
        const rounds = await measureCosts(portal, api, server.pid, options)
        const costs = WAYS.map((way) => medianOf(rounds.map((round) => round[way])))
        const machine = describeMachine(server.words, null, cores.words)
        const results = { machine, delays, costs, ratio: ratioOf(rounds) }
        publish(options, results, () => describeRevocation(machine, delays, costs, results.ratio))
        return delays.every(({ max_ms }) => max_ms <= DELAY_GOAL_MS) && costs.every(({ errors }) => errors === 0)
          ? 0
          : 1
      } finally {
        await api.stop()
      }
    } finally {
      await portal.stop()
      await folder.remove()
    }
  })
}

async function startApi(portal: Subject, folder: string): Promise<Api> {
  const port = await findFreePort()
  const { id, secret } = portal.introspectedApp
  const env = { PORT: String(port), ISSUER: portal.origin, AUDIENCE, CLIENT_ID: id, CLIENT_SECRET: secret }
  const program = {
    name: 'api',
    args: ['bench/revocation/api.ts'],
    port,
    env,
    readyPath: '/ready',
    readyLine: '',
  } as const
  return { ...(await startProcess(program, { folder, prefix: [] })), port }
}

/** Milliseconds from the answered click to the first refusal, this many times. */
async function measureDelays(portal: Subject, api: Api, way: Way, count: number): Promise<number[]> {
  const browser = await signedInBrowser(portal, portal.people[0] as Person)
  const connection = await Connection.open(api.port)
  const delays: number[] = []
  try {
    for (let round = 0; round < count; round++) {
      const tokens = await clientOf(portal).connect(browser)
      const request = requestWith(api, way, tokens)
      await expectStatus(connection, request, 200)
      // At a random moment between two polls of the database.
      await sleep(Math.random() * 300)
      const ended = await browser.post(`/families/${claimsOf(tokens.access_token)['fam'] as string}/revocation`, {})
      if (ended.status !== 303) throw new Error(`a family could not be ended: ${ended.status}`)
      const clickedAt = performance.now()
      while ((await ask(connection, request)).status !== 401) await sleep(1)
      delays.push(performance.now() - clickedAt)
    }
  } finally {
    connection.close()
  }
  return delays
}

/** The two ways take turns, so that other load on the machine affects both alike. */
async function measureCosts(
  portal: Subject,
  api: Api,
  databasePid: number | null,
  { quick, seconds }: Options,
): Promise<Record<Way, Cost>[]> {
  const browser = await signedInBrowser(portal, portal.people[0] as Person)
  const families: Tokens[] = []
  while (families.length < MACHINE_CONCURRENCY) families.push(await clientOf(portal).connect(browser))
  const measure = async (way: Way): Promise<Cost> => {
    const clients = families.map((tokens) => {
      const request = requestWith(api, way, tokens)
      return { next: () => request, accept: ({ status }: Answer) => status === 200 }
    })
    const pids = [api.pid, portal.pid, databasePid]
    const cpu = () => pids.map((pid) => (pid === null ? null : cpuOfFamily(pid)))
    const before = cpu()
    const { rps, p50_ms, errors, requests } = await runSlice(api.port, clients, seconds ?? (quick ? 1 : 3))
    const [api_us, portal_us, db_us] = cpu().map((after, index) => {
      const from = before[index]
      return after === null || from === null || from === undefined ? null : (after - from) / requests
    }) as [number | null, number | null, number | null]
    return { way, rps, p50_ms, errors, api_us, portal_us, db_us }
  }
  // Warms the JIT compiler up.
  for (const way of WAYS) await measure(way)
  const rounds: Record<Way, Cost>[] = []
  for (let round = 0; round < (quick ? 2 : 5); round++) {
    rounds.push({ offline: await measure('offline'), introspection: await measure('introspection') })
  }
  return rounds
}

function medianOf(costs: Cost[]): Cost {
  return {
    way: (costs[0] as Cost).way,
    rps: median(costs.map(({ rps }) => rps)),
    p50_ms: median(costs.map(({ p50_ms }) => p50_ms)),
    api_us: medianOrNull(costs.map(({ api_us }) => api_us)),
    portal_us: medianOrNull(costs.map(({ portal_us }) => portal_us)),
    db_us: medianOrNull(costs.map(({ db_us }) => db_us)),
    errors: costs.reduce((sum, { errors }) => sum + errors, 0),
  }
}

function requestWith(api: Api, way: Way, { access_token: token }: Tokens): string {
  return getRequest(`127.0.0.1:${api.port}`, `/${way}`, { Authorization: `Bearer ${token}` })
}

async function expectStatus(connection: Connection, request: string, expected: number): Promise<void> {
  const { status } = await ask(connection, request)
  if (status !== expected) throw new Error(`the API answered ${status} where ${expected} was expected`)
}

async function ask(connection: Connection, request: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    connection.ask(request, resolve, () => reject(new Error('the connection to the API was lost')))
  })
}
