import { createHash } from 'node:crypto'
import { z } from 'zod'
import { Refused } from '../refused.ts'

/** The version of the format of a file. */
export const FORMAT = 1

/** The first line of a file. */
export interface ExportHeader {
  format: number
  /** Of this very export; an import that was interrupted recognizes its file by it. */
  id: string
  /** The version of the portal that made it, and its issuer. */
  version: string
  issuer: string
  made_at: string
  /** The migrations of its database. */
  migrations: string[]
}

/** The last line of a file, without which it is incomplete. */
export interface ExportEnd {
  pages: number
  /** How many rows there are of each table. */
  rows: Record<string, number>
  /** SHA-256 of all lines before, each with its line feed. */
  sha256: string
}

/**
 * A line of a file. Every line is a JSON object with one member, named after what it is, or after the table of the row in it.
 * The rows before a `page` belong together: they are imported in one transaction.
 */
export type ExportLine =
  | { kind: 'header'; header: ExportHeader }
  /** `row` is the text of a JSON object. */
  | { kind: 'row'; table: string; row: string }
  | { kind: 'page'; page: number }
  | { kind: 'end'; end: ExportEnd }

/** Makes the lines of a file, counts the rows and hashes it all. */
export class ExportLines {
  readonly #hash = createHash('sha256')
  readonly #rows: Record<string, number> = {}
  #pages = 0

  /** `json` is the text of an `ExportHeader`. */
  header(json: string): string {
    return this.#line('gatehouse_export', json)
  }

  row(table: string, row: string): string {
    this.#rows[table] = (this.#rows[table] ?? 0) + 1
    return this.#line(table, row)
  }

  page(): string {
    return this.#line('page', String(++this.#pages))
  }

  end(): string {
    return this.#line('end', JSON.stringify(this.summary()))
  }

  /** Of all lines so far. */
  summary(): ExportEnd {
    return { pages: this.#pages, rows: { ...this.#rows }, sha256: this.#hash.copy().digest('hex') }
  }

  #line(name: string, json: string): string {
    const line = `{"${name}":${json}}\n`
    this.#hash.update(line)
    return line
  }
}

/** Reads the lines of a file. @throws Refused at its end, unless it is whole and as it was made */
export async function* readExportLines(lines: AsyncIterable<string>): AsyncGenerator<ExportLine> {
  const expected = new ExportLines()
  let end: ExportEnd | null = null
  let isFirst = true
  for await (const text of lines) {
    const { name, json } = partsOf(text)
    if (isFirst !== (name === 'gatehouse_export') || end !== null) throw damaged()
    isFirst = false
    if (name === 'gatehouse_export') {
      const { format, version } = parsed(anyHeaderShape, json)
      if (format > FORMAT)
        throw new Refused(`the file was made by a newer version of Gatehouse (${version}): update this portal first`)
      const header = parsed(headerShape, json)
      expected.header(json)
      yield { kind: 'header', header }
    } else if (name === 'page') {
      if (expected.page() !== `${text}\n`) throw damaged()
      yield { kind: 'page', page: Number(json) }
    } else if (name === 'end') {
      end = parsed(endShape, json)
      const { pages, rows, sha256 } = expected.summary()
      if (JSON.stringify([pages, rows, sha256]) !== JSON.stringify([end.pages, end.rows, end.sha256])) throw damaged()
      yield { kind: 'end', end }
    } else {
      expected.row(name, json)
      yield { kind: 'row', table: name, row: json }
    }
  }
  if (end === null) throw new Refused('the file is incomplete: its end is missing')
}

function partsOf(text: string): { name: string; json: string } {
  const [, name, json] = /^\{"(\w+)":(.+)\}$/s.exec(text) ?? []
  if (name === undefined || json === undefined) throw damaged()
  return { name, json }
}

function parsed<T>(shape: z.ZodType<T>, json: string): T {
  try {
    return shape.parse(JSON.parse(json))
  } catch {
    throw damaged()
  }
}

function damaged(): Refused {
  return new Refused('the file is no export of Gatehouse, or damaged')
}

/** What the header of every format has. */
const anyHeaderShape = z.looseObject({ format: z.int(), version: z.string() })
const headerShape = z.strictObject({
  format: z.int(),
  id: z.uuid(),
  version: z.string(),
  issuer: z.url(),
  made_at: z.iso.datetime(),
  migrations: z.array(z.string()),
})
const endShape = z.strictObject({ pages: z.int(), rows: z.record(z.string(), z.int()), sha256: z.string() })
