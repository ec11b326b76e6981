import { pinCores } from './cores.ts'
import { freshAddress, questions, type Question, registration, type Whom } from './enumeration/questions.ts'
import { compareTimes, describeEnumeration, type EnumerationResult, holds } from './enumeration/report.ts'
import { timeAnswer } from './enumeration/timing.ts'
import { Connection } from './connection.ts'
import { describeMachine } from './machine.ts'
import type { Options } from './options.ts'
import { publish, say } from './output.ts'
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
    const portal = await install(startPortal, postgres.url, {
      redisUrl: null,
      prefix: cores.prefix,
      profileFolder: null,
      env: UNLIMITED,
    })
    try {
      const results: EnumerationResult[] = []
      const known = await registerMany(portal, samples + WARM_UP)
      for (const question of questions(portal, known)) {
        results.push(await measure(portal, question, samples))
        say(`${question.name}: ${results.at(-1)?.difference_ms} ms apart`)
      }
      const machine = describeMachine(server.words, null, cores.words)
      publish(options, { machine, samples, results }, () => describeEnumeration(machine, results, samples))
      return results.every(holds) ? 0 : 1
    } finally {
      await portal.stop()
    }
  })
}

/** Work that is done only the first time must not be timed. */
const WARM_UP = 10

async function registerMany(portal: Subject, count: number): Promise<string[]> {
  const connection = await Connection.open(portal.port)
  const addresses = Array.from({ length: count }, freshAddress)
  try {
    for (const address of addresses) await timeAnswer(connection, registration(portal, address), 'known')
  } finally {
    connection.close()
  }
  return addresses
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
