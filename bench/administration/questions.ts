import type { AnyOperation } from '../../src/administration/operation.ts'
import { OPERATIONS } from '../../src/administration/operations.ts'
import type { Queryable } from '../../src/storage/postgres.ts'
import { idOf } from '../../src/testing/portal/crowd.ts'

/** An operation with an input that a large installation makes costly. */
export interface Question {
  operation: AnyOperation
  /** What is special about the input. */
  about: string
  input: Record<string, unknown>
  /** Whether the page after the first, and one far behind, are asked for, too. */
  isList: boolean
}

/** Ids and names that the population has. */
export interface Known {
  identity: string
  username: string
  group: string
  client_id: string
  family: string
}

/** Of each noun one that has much. */
export async function knownIn(db: Queryable): Promise<Known> {
  const { rows } = await db.query<Known>(
    `SELECT ${idOf('identity', '7')}::text AS identity, 'person7' AS username, ${idOf('group', '49')}::text AS "group",
       'app-0000' AS client_id, ${idOf('family', '7')}::text AS family`,
  )
  return rows[0] as Known
}

type Inputs = (known: Known) => Record<string, Record<string, unknown>>

/** The inputs of every operation that reads, by what is special about them. */
const INPUTS: Partial<Record<keyof typeof OPERATIONS, Inputs>> = {
  listGroups: () => ({ all: {}, 'by prefix': { search: 'group 1' } }),
  showGroup: ({ group }) => ({ one: { group } }),
  listGroupMembers: ({ group }) => ({ 'of a large one': { group } }),
}

/** The operations that read, which are measured. */
export function listReads(): AnyOperation[] {
  return Object.values(OPERATIONS as Record<string, AnyOperation>).filter(({ kind }) => kind === 'read')
}

/** @throws Error for an operation without inputs, so that none is forgotten */
export function listQuestions(known: Known): Question[] {
  return listReads().flatMap((operation) => {
    const inputs = INPUTS[operation.name as keyof typeof OPERATIONS]
    if (inputs === undefined) throw new Error(`${operation.name} has no inputs in bench/administration/questions.ts`)
    return Object.entries(inputs(known)).map(([about, input]) => ({
      operation,
      about,
      input,
      isList: operation.name.startsWith('list'),
    }))
  })
}
