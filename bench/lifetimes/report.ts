import { introduceMachine, type MachineWords } from '../machine.ts'
import { table, whole } from '../markdown.ts'
import type { Honest, Size, Stolen } from './simulation.ts'

const KINDS: Record<Honest['kind'], string> = {
  single: 'single flight',
  flock: 'no single flight, up to 20 calls at once',
  shared: 'two processes, one store',
  stale: 'two processes, copies up to 20 s old',
}

const proofOf = ({ isProven }: { isProven: boolean }) => (isProven ? 'proven' : 'bearer')

/** The result, as published in docs/benchmarks.md. */
export function describeLifetimes(
  machine: MachineWords,
  size: Size,
  { honest, stolen }: { honest: Honest[]; stolen: Stolen[] },
): string {
  const clients = table(
    ['honest clients', 'holder', 'clients', 'refreshes', 'families ended', 'of those later than the window'],
    honest.map((row) => [
      KINDS[row.kind],
      proofOf(row),
      ...[row.clients, row.refreshes, row.ended, row.excluded].map((figure) => whole(figure)),
    ]),
  )
  const thieves = table(
    ['the thief uses the copy', 'holder', 'thefts', 'gained a token', 'detected', 'gained and not detected'],
    stolen.map((row) => [
      `${row.order} the owner${row.order === 'between' ? "'s uses" : ''}`,
      proofOf(row),
      ...[row.thefts, row.gained, row.detected, row.missed].map((figure) => whole(figure)),
    ]),
  )
  return `## Lifetimes\n\n${introduceMachine(machine)}\n\n${size.clients} clients, ${size.refreshes} refreshes or more, ${size.thefts} thefts.\n\n${clients}\n${thieves}`
}
