import { statSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { CACHE, ROOT } from './tool.ts'

/** Kept from run to run until `npm ci`: no two machines measure the same. */
const FILE = join(CACHE, 'test-times.json')

/** How long test files took, in ms, by their path from the root of the repository. */
export type MeasuredTimes = Record<string, number>

export async function readMeasuredTimes(file = FILE): Promise<MeasuredTimes> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as MeasuredTimes
  } catch {
    // A first run, or a file that was cut off: all are unknown then.
    return {}
  }
}

/** Adds to what is known of other files. */
export async function keepMeasuredTimes(times: MeasuredTimes, file = FILE): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, JSON.stringify({ ...(await readMeasuredTimes(file)), ...times }, null, 2))
}

/**
 * The files in the order in which several at once are soonest done: the longest first. One that was never measured comes
 * before the others, and of two such the one with more text.
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
