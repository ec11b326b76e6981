import { perform } from '../../src/administration/operation.ts'
import type { Services } from '../../src/domain/services.ts'
import type { Queryable } from '../../src/storage/postgres.ts'
import { recordStatements } from '../../src/testing/portal/statements.ts'
import { type Plan, planOf } from './plans.ts'
import { type Known, listQuestions, type Question } from './questions.ts'

export interface Answered {
  /** The operation, what is special about its input, and which page of a list it is. */
  name: string
  /** The time of all its statements in the database (ms), the best of `TRIES`. */
  ms: number
  statements: number
  scanned: string[]
  /** The text of the slowest statement. */
  slowest: string
}

/** How often each is tried: what was not in memory the first time is the second time, as in an installation that is used. */
const TRIES = 3

/** Asks everything that reads of this installation, and tells what it costs the database. */
export async function measureReads(services: Services, db: Queryable, known: Known): Promise<Answered[]> {
  const answered: Answered[] = []
  for (const question of listQuestions(known)) {
    for (const [page, input] of await inputsOf(services, question)) {
      const name = [question.operation.name, question.about, page].filter(Boolean).join(', ')
      answered.push(await measure(services, db, name, question, input))
    }
  }
  return answered
}

/** The first page of a list and, where there are more, the second. */
async function inputsOf(
  services: Services,
  { operation, input, isList }: Question,
): Promise<[string, Record<string, unknown>][]> {
  if (!isList) return [['', input]]
  const first = (await perform(services, { kind: 'command' }, operation, input)) as { next_cursor?: string | null }
  return [
    ['', input],
    ...(typeof first.next_cursor !== 'string'
      ? []
      : ([['next page', { ...input, cursor: first.next_cursor }]] as [string, Record<string, unknown>][])),
  ]
}

async function measure(
  services: Services,
  db: Queryable,
  name: string,
  { operation }: Question,
  input: Record<string, unknown>,
): Promise<Answered> {
  const statements = await recordStatements(async () => perform(services, { kind: 'command' }, operation, input))
  const tries: Plan[][] = []
  for (let index = 0; index < TRIES; index++) {
    const plans: Plan[] = []
    for (const statement of statements) {
      const plan = await planOf(db, statement)
      if (plan !== null) plans.push(plan)
    }
    tries.push(plans)
  }
  const timeOf = (plans: Plan[]) => plans.reduce((sum, { ms }) => sum + ms, 0)
  const best = tries.toSorted((a, b) => timeOf(a) - timeOf(b))[0] as Plan[]
  const [slowest] = best.toSorted((a, b) => b.ms - a.ms)
  return {
    name,
    ms: timeOf(best),
    statements: best.length,
    scanned: [...new Set(best.flatMap(({ scanned }) => scanned))],
    slowest: slowest?.text ?? '',
  }
}
