import type { Options } from './options.ts'

/** Progress and errors; results go to standard output. */
export function say(line: string): void {
  console.error(line)
}

/** The results, as JSON or as Markdown. */
export function publish({ json }: Options, results: object, markdown: () => string): void {
  process.stdout.write(json ? `${JSON.stringify(results, null, 2)}\n` : markdown())
}
