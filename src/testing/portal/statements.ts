import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'

/** What was sent to PostgreSQL. */
export interface Statement {
  text: string
  values: unknown[]
  /** The name under which it is prepared. */
  name: string | undefined
}

/** Every statement that anything in this process sends while `act` runs; also a portal that was started in a test. */
export async function recordStatements(act: () => Promise<unknown>): Promise<Statement[]> {
  const recorded: Statement[] = []
  const { query } = pg.Client.prototype
  pg.Client.prototype.query = function (this: pg.Client, ...args: unknown[]) {
    const [config, values] = args as [string | { text: string; values?: unknown[]; name?: string }, unknown]
    const { text, name, values: own } = typeof config === 'string' ? { text: config } : config
    recorded.push({ text, values: own ?? (Array.isArray(values) ? (values as unknown[]) : []), name })
    return Reflect.apply(query, this, args) as unknown
  } as typeof query
  try {
    await act()
    // The rest of a request may come after its answer.
    await sleep(20)
  } finally {
    pg.Client.prototype.query = query
  }
  return recorded
}

/** Without those of the periodic jobs of every running portal, which look for new keys, and write counts. */
export function withoutPeriodic(statements: Statement[]): Statement[] {
  return statements.filter(({ text }) => !PERIODIC.test(text))
}

const PERIODIC = /\b(?:FROM|INTO|UPDATE) (?:signing_keys|lasting_secrets|root_secrets|portal_processes|tallies)\b/
