import { statSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
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
 * The order in which several test files at once finish soonest: the longest first. Unmeasured ones come before all others, the
 * larger one first.
 */
export function longestFirst(
  files: string[],
  times: MeasuredTimes,
  sizeOf = (file: string) => statSync(file).size,
): string[] {
  return files
    .map((file) => ({ file, time: times[relative(ROOT, file)] ?? Infinity, size: sizeOf(file) }))
    .toSorted((one, other) => (one.time === other.time ? other.size - one.size : other.time - one.time))
    .map(({ file }) => file)
}
