import { relative } from 'node:path'
import { addRetries, type Totals } from './totals.ts'

/** This many failed files at most may be the machine's fault, such as a stall of some seconds that ran into a timeout. */
const FEW = 3

/** Runs a few failed files once more, and says which passed only then. */
export async function addSecondRun(
  first: Map<string, Totals>,
  runAgain: (files: string[]) => Promise<Map<string, Totals>>,
): Promise<Totals> {
  const failing = [...first].filter(([, { failed }]) => failed > 0).map(([file]) => file)
  let again = new Map<string, Totals>()
  if (failing.length > 0 && failing.length <= FEW) {
    console.log(`\nOnce more, one after the other, in case the machine had stalled: ${namesOf(failing)}\n`)
    again = await runAgain(failing)
  }
  const totals = addRetries(first, again)
  if (totals.flaky.length > 0) console.log(`\nPassed only when run again: ${namesOf(totals.flaky)}`)
  if (totals.flaky.length > 1) console.log('More than one flaky file fails the run.')
  return { ...totals, flaky: totals.flaky.map((file) => relative('.', file)) }
}

function namesOf(files: string[]): string {
  return files.map((file) => relative('.', file)).join(', ')
}
