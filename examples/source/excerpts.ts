import { readFileSync } from 'node:fs'
import { relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The source lines behind a page of a demo app. */
export interface Excerpt {
  /** What they do, in words. */
  does: string
  /** The function or class. */
  name: string
  /** From the top of the repository. */
  path: string
  /** Of the whole file. */
  lines: string[]
  /** The first and last line, 1-based. */
  from: number
  to: number
}

/**
 * Finds the function or class `name` in a file, with the comment above it. The lines are counted when an app starts, so a link
 * always leads to the current code. @throws when the file has no such function or class
 */
export function findExcerpt(file: URL, name: string, does: string): Excerpt {
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
  const heading = new RegExp(String.raw`^(export )?(async )?(function|class) ${name}\b`)
  const start = lines.findIndex((line) => heading.test(line))
  const end = lines.indexOf('}', start)
  const path = relative(ROOT, fileURLToPath(file)).split(sep).join('/')
  if (start === -1 || end === -1) throw new Error(`${path} has no function or class ${name}`)

  const comment = lines.slice(0, start).findLastIndex((line) => !/^(\/\/|\/\*\*| \*)/.test(line)) + 1
  return { does, name, path, lines, from: comment + 1, to: end + 1 }
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** The path of its page (`excerptPages`). */
export function linkTo({ name }: Excerpt): string {
  return `/source/${name}#lines`
}

/** "examples/notes/sign-in.ts, lines 17 to 33". */
export function placeOf({ path, from, to }: Excerpt): string {
  return `${path}, lines ${from} to ${to}`
}
