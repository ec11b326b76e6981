import { statSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import type { TestGroup } from './test-groups.ts'
import { CACHE, ROOT } from './tool.ts'

/** Kept from run to run until `npm ci`: machines differ. */
const FILE = join(CACHE, 'test-times.json')

/** How long test files took (ms), by their path from the repository root. */
export type MeasuredTimes = Record<string, number>

export async function readMeasuredTimes(file = FILE): Promise<MeasuredTimes> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as MeasuredTimes
  } catch {
    // In a first run, or with a truncated file, all are unknown.
    return {}
  }
}

/** Updates the times of these files. */
export async function keepMeasuredTimes(times: MeasuredTimes, file = FILE): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, JSON.stringify({ ...(await readMeasuredTimes(file)), ...times }, null, 2))
}

/**
 * The order in which several groups of test files at once finish soonest: the longest first. Those with a file that was never
 * measured come before all others: files that run alone, then the larger groups.
 */
export function longestFirst(
  groups: TestGroup[],
  times: MeasuredTimes,
  sizeOf = (file: string) => statSync(file).size,
): TestGroup[] {
  const sum = (group: TestGroup, of: (file: string) => number) => group.reduce((total, file) => total + of(file), 0)
  return groups
    .map((group) => ({
      group,
      time: sum(group, (file) => times[relative(ROOT, file)] ?? Infinity),
      size: group.length === 1 ? Infinity : sum(group, sizeOf),
    }))
    .toSorted((one, other) => (one.time === other.time ? compare(one.size, other.size) : compare(one.time, other.time)))
    .map(({ group }) => group)
}

function compare(one: number, other: number): number {
  return one === other ? 0 : other > one ? 1 : -1
}
