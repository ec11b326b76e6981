import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'

/** Test files that run in one process, one after the other. */
export type TestGroup = readonly string[]

const SIZE = 6
const TEST_LIMIT = 5 * 60_000
/** In a test file, with the reason: it takes long, or is about the process itself. Such files also start first. */
const ALONE = /^\/\/ Runs in a process of its own: /m

/**
 * Divides test files into groups: starting a process, loading the portal and compiling it takes most of the processor time of a
 * usual file. Neighbours share a process, because they load the same modules. The groups of a checkout are the same in every run.
 */
export function groupTests(files: string[], sourceOf = (file: string) => readFileSync(file, 'utf8')): TestGroup[] {
  const isAlone = (file: string) => ALONE.test(sourceOf(file))
  const alone = files.toSorted().filter((file) => isAlone(file))
  const social = files.toSorted().filter((file) => !isAlone(file))
  const groups = Array.from({ length: Math.ceil(social.length / SIZE) }, (_, index) =>
    social.slice(index * SIZE, (index + 1) * SIZE),
  )
  return [...alone.map((file) => [file]), ...groups]
}

/** Writes the module that runs a group. @returns its path in that folder */
export async function writeGroup(group: TestGroup, folder: string, name: string): Promise<string> {
  const path = join(folder, `${name}.mjs`)
  const program = `import { runGroup } from ${JSON.stringify(import.meta.url)}\nrunGroup(${JSON.stringify(group)})\n`
  await writeFile(path, program)
  return path
}

/** Each file is one test, and its tests and hooks are inside: a hook of one file does not run for another. */
export function runGroup(group: TestGroup): void {
  for (const file of group) void test(file, { timeout: TEST_LIMIT }, async () => import(pathToFileURL(file).href))
}
