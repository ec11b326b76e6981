import { type CsvError, parse } from 'csv-parse'

/** The formats of files of users. */
export const FORMATS = ['jsonl', 'csv'] as const
export type Format = (typeof FORMATS)[number]

/** The columns of an export. */
export const EXPORTED_COLUMNS = [
  'username',
  'email',
  'email_verified',
  'name',
  'roles',
  'groups',
  'attributes',
  'password_hash',
  'disabled',
] as const

/** The columns of a CSV file that is imported, which are the fields of a JSON line. */
const COLUMNS = [
  ...EXPORTED_COLUMNS,
  'given_name',
  'family_name',
  'nickname',
  'picture',
  'phone_number',
  'totp_secrets',
  'created_at',
] as const

/** A user in a file, or why a line is none. */
export type ReadUser = { line: number } & ({ row: Record<string, unknown> } | { problem: string })

/** The longest line (bytes). */
const LONGEST = 128 * 1024
const TOO_LONG = `is longer than ${LONGEST} bytes`
const NOT_UTF8 = 'is not UTF-8'

/** The users in a file, as they are read: no more than a line is held. */
export function readUsers(file: AsyncIterable<Buffer>, format: Format): AsyncGenerator<ReadUser> {
  return format === 'csv' ? readCsv(file) : readJsonLines(file)
}

async function* readJsonLines(file: AsyncIterable<Buffer>): AsyncGenerator<ReadUser> {
  for await (const { line, bytes } of linesOf(file)) {
    const read = bytes === null ? { problem: TOO_LONG } : readJsonLine(bytes)
    if (read !== null) yield { line, ...read }
  }
}

/** Null for an empty line. */
function readJsonLine(bytes: Buffer): { row: Record<string, unknown> } | { problem: string } | null {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes).trim()
  } catch {
    return { problem: NOT_UTF8 }
  }
  if (text === '') return null
  try {
    const row: unknown = JSON.parse(text)
    if (typeof row === 'object' && row !== null && !Array.isArray(row)) return { row: row as Record<string, unknown> }
  } catch {
    // Said below.
  }
  return { problem: 'is not a JSON object' }
}

/** The lines of a file; null for one that is too long to be held. */
async function* linesOf(file: AsyncIterable<Buffer>): AsyncGenerator<{ line: number; bytes: Buffer | null }> {
  let line = 1
  let held: Buffer[] = []
  let size = 0
  const take = () => {
    const bytes = size > LONGEST ? null : Buffer.concat(held)
    held = []
    size = 0
    return { line: line++, bytes }
  }
  const hold = (part: Buffer) => {
    size += part.length
    if (size <= LONGEST) held.push(part)
    else held = []
  }
  for await (const chunk of file) {
    let start = 0
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      hold(chunk.subarray(start, end))
      yield take()
      start = end + 1
    }
    hold(chunk.subarray(start))
  }
  if (size > 0) yield take()
}

async function* readCsv(file: AsyncIterable<Buffer>): AsyncGenerator<ReadUser> {
  const parser = parse({
    bom: true,
    info: true,
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: LONGEST,
  })
  const reading = (async () => {
    for await (const chunk of file)
      if (!parser.write(chunk)) await new Promise((resolve) => parser.once('drain', resolve))
    parser.end()
  })()
  reading.catch((error: unknown) => parser.destroy(error as Error))
  let columns: string[] | null = null
  let extra = 0
  try {
    for await (const { record, info } of parser as AsyncIterable<{ record: string[]; info: { lines: number } }>) {
      // The parser counts a line break of two characters inside quotes twice.
      extra += record.join().match(/\r\n/g)?.length ?? 0
      const line = info.lines - extra
      if (columns === null) {
        columns = record.map((name) => name.trim().toLowerCase())
        const problem = headerProblem(columns)
        if (problem === null) continue
        yield { line, problem }
        return
      }
      yield { line, ...readRecord(columns, record) }
    }
  } catch (error) {
    const { code, lines } = error as CsvError & { lines?: number }
    const words = CSV_FAULTS[code]
    if (words === undefined) throw error
    yield { line: lines ?? 1, problem: `${words}; the rest of the file is not read` }
  } finally {
    parser.destroy()
  }
}

const CSV_FAULTS: Record<string, string> = {
  CSV_QUOTE_NOT_CLOSED: 'has a quote that is not closed',
  CSV_INVALID_CLOSING_QUOTE: 'has text behind a closing quote',
  CSV_NON_TRIMABLE_CHAR_AFTER_CLOSING_QUOTE: 'has text behind a closing quote',
  INVALID_OPENING_QUOTE: 'has a quote inside a value that does not begin with one',
  CSV_MAX_RECORD_SIZE: `${TOO_LONG}, or has a quote that is not closed`,
}

function headerProblem(columns: string[]): string | null {
  const unknown = columns.find((name) => !(COLUMNS as readonly string[]).includes(name) && !/^attributes\../.test(name))
  if (unknown !== undefined)
    return `has the column ${JSON.stringify(unknown)}; a file begins with a line of columns, which are ${COLUMNS.join(', ')} and attributes.<name>`
  if (!columns.includes('email')) return 'lacks the column email'
  return new Set(columns).size < columns.length ? 'has a column twice' : null
}

function readRecord(columns: string[], cells: string[]): { row: Record<string, unknown> } | { problem: string } {
  if (cells.length !== columns.length) return { problem: `has ${cells.length} values for ${columns.length} columns` }
  if (cells.some((cell) => cell.includes('\ufffd'))) return { problem: NOT_UTF8 }
  const row: Record<string, unknown> = {}
  const attributes: Record<string, unknown> = {}
  for (const [at, name] of columns.entries()) {
    const cell = withoutApostrophe(cells[at] as string)
    if (cell === '') continue
    if (name.startsWith('attributes.')) attributes[name.slice('attributes.'.length)] = cell
    else if (name === 'attributes') Object.assign(attributes, jsonIn(cell))
    else if (name === 'roles' || name === 'groups' || name === 'totp_secrets') row[name] = listIn(cell)
    else if (name === 'email_verified' || name === 'disabled') row[name] = flagIn(cell)
    else row[name] = cell
  }
  return { row: Object.keys(attributes).length === 0 ? row : { ...row, attributes } }
}

/** An export puts one before what a spreadsheet would compute as a formula. */
function withoutApostrophe(cell: string): string {
  return /^'[=+\-@\t\r\uFF1D\uFF0B\uFF0D\uFF20]/.test(cell) ? cell.slice(1) : cell
}

/** A JSON array, or values with semicolons between. */
function listIn(cell: string): unknown {
  return cell.startsWith('[')
    ? jsonIn(cell)
    : cell
        .split(';')
        .map((each) => each.trim())
        .filter(Boolean)
}

/** What is no JSON stays a text, which is then refused as one. */
function jsonIn(cell: string): unknown {
  try {
    return JSON.parse(cell)
  } catch {
    return cell
  }
}

function flagIn(cell: string): unknown {
  const flag = cell.toLowerCase()
  return flag === 'true' || flag === 'false' ? flag === 'true' : cell
}
