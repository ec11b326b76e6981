import { pinCores } from './cores.ts'
import {
  freshAddress,
  guestSignIns,
  type Question,
  questions,
  questionsWithSource,
  registration,
  type Whom,
} from './enumeration/questions.ts'
import { compareTimes, describeEnumeration, type EnumerationResult, holds } from './enumeration/report.ts'
import { timeAnswer } from './enumeration/timing.ts'
import { Connection } from './connection.ts'
import { describeMachine } from './machine.ts'
import type { Options } from './options.ts'
import { publish, say } from './output.ts'
import { startSource } from './source/running-source.ts'
import { withStores } from './stores.ts'
import { install } from './subjects/installation.ts'
import { startPortal } from './subjects/portal.ts'
import type { Subject } from './subjects/subject.ts'

/** An attacker would be throttled first; here the limits are lifted, or there would be nothing to time. */
const UNLIMITED = {
  TRUST_PROXY: 'true',
  LOGIN_ATTEMPTS_BEFORE_DELAY: '100',
  IP_BLOCK_AFTER: '0',
  REGISTRATIONS_PER_HOUR: '1000000',
}

/** Account enumeration: whether the time of an answer tells if an account exists. Answers with the exit code. */
export async function runEnumeration(options: Options): Promise<number> {
  const cores = pinCores(options.cores ?? 'pin')
  const samples = options.rounds ?? (options.quick ? 100 : 500)
  return withStores(false, async ({ postgres, server }) => {
    const results: EnumerationResult[] = []
    const askAll = async (env: Record<string, string>, prepare: (portal: Subject) => Promise<Question[]>) => {
      const portal = await install(startPortal, postgres.url, {
        redisUrl: null,
        prefix: cores.prefix,
        profileFolder: null,
        env: { ...UNLIMITED, ...env },
      })
      try {
        for (const question of await prepare(portal)) {
          results.push(await measure(portal, question, samples))
          say(`${question.name}: ${results.at(-1)?.difference_ms} ms apart`)
        }
      } finally {
        await portal.stop()
      }
    }

    await askAll({}, async (portal) => questions(portal, await registerMany(portal, samples + WARM_UP)))
    const source = await startSource(SOURCE_LATENCY_MS)
    try {
      await askAll(source.env, async (portal) => {
        await askOnce(portal, guestSignIns(portal, source.password))
        return questionsWithSource(portal)
      })
    } finally {
      await source.stop()
    }
    const machine = describeMachine(server.words, null, cores.words)
    publish(options, { machine, samples, results }, () => describeEnumeration(machine, results, samples))
    return results.every(holds) ? 0 : 1
  })
}

/** A quick one: what the portal itself adds is not lost beside it. */
const SOURCE_LATENCY_MS = 2

/** Work that is done only the first time must not be timed. */
const WARM_UP = 10

async function registerMany(portal: Subject, count: number): Promise<string[]> {
  const addresses = Array.from({ length: count }, freshAddress)
  await askOnce(
    portal,
    addresses.map((address) => registration(portal, address)),
  )
  return addresses
}

async function askOnce(portal: Subject, asked: Question[]): Promise<void> {
  const connection = await Connection.open(portal.port)
  try {
    for (const question of asked) await timeAnswer(connection, question, 'known')
  } finally {
    connection.close()
  }
}

/** Asks about accounts that exist and that do not, in a random order, so that drift touches both alike. */
async function measure(portal: Subject, question: Question, samples: number): Promise<EnumerationResult> {
  const connection = await Connection.open(portal.port)
  const times = { known: [] as number[], unknown: [] as number[] }
  const ask = async (whom: Whom) => timeAnswer(connection, question, whom)
  try {
    for (let round = 0; round < WARM_UP; round++) {
      await ask('known')
      await ask('unknown')
    }
    for (let round = 0; round < samples; round++) {
      const order = Math.random() < 0.5 ? (['known', 'unknown'] as const) : (['unknown', 'known'] as const)
      for (const whom of order) times[whom].push(await ask(whom))
    }
  } finally {
    connection.close()
  }
  return compareTimes(question.name, times.known, times.unknown)
}
