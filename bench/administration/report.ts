import { rounded } from '../figures.ts'
import { introduceMachine, type MachineWords } from '../machine.ts'
import { exact, table } from '../markdown.ts'
import type { Answered } from './measurement.ts'
import type { Population } from './population.ts'

/** How long the database may take for a list or a search (ms). */
export const GOAL_MS = 50

export function holds({ ms, scanned }: Answered): boolean {
  return ms < GOAL_MS && scanned.length === 0
}

export function describeAdministration(machine: MachineWords, population: Population, answered: Answered[]): string {
  const count = (value: number) => value.toLocaleString('en')
  const { people, families, apps, groups, events } = population
  return `${introduceMachine(machine)}
${count(people)} identities, ${count(families)} families of ${count(apps)} apps, ${count(groups)} groups, ${count(events)} audit events. The time is that of all
statements of one operation in the database (EXPLAIN ANALYZE, planning included), the best of three. Goal: below ${GOAL_MS} ms, and no large table read from one end to the other.

${table(
  ['operation', 'statements', 'ms', 'read as a whole'],
  answered.map(({ name, statements, ms, scanned }) => [
    name,
    String(statements),
    exact(rounded(ms, 2)),
    scanned.join(', ') || '–',
  ]),
)}`
}
