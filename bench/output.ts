import type { Options } from './options.ts'

/** Progress and trouble; standard output belongs to the results. */
export function say(line: string): void {
  console.error(line)
}

/** The results, for programs or for people. */
export function publish({ json }: Options, results: object, markdown: () => string): void {
  process.stdout.write(json ? `${JSON.stringify(results, null, 2)}\n` : markdown())
}
