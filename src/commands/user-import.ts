import { hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type Command, Option } from 'commander'
import type { ImportedRow } from '../administration/imports.ts'
import { InvalidInput, readInput } from '../administration/operation.ts'
import { OPERATIONS } from '../administration/operations.ts'
import { canonicalEmail } from '../domain/identities/emails.ts'
import { canonicalUserName, skeletonsOf } from '../domain/identities/user-names.ts'
import { loginKeyOf } from '../domain/limits/login-keys.ts'
import { CommandRefused } from './command-refused.ts'
import { print } from './output.ts'
import { type Portal, withPortal } from './portal.ts'
import { type Format, FORMATS, readUsers } from './user-files.ts'

interface Options {
  json?: boolean
  format?: Format
  update?: boolean
  dryRun?: boolean
}

/** `user import`. */
export function addImportCommand(user: Command): void {
  withPortal(
    user
      .command('import <file>')
      .description(
        'Create identities from a file, - for standard input; those that exist are skipped. It can be run again.',
      )
      .addOption(new Option('--format <format>', 'csv, or jsonl; else by the name of the file').choices(FORMATS))
      .option('--update', 'change those that exist: roles are replaced, groups and attributes added')
      .option('--dry-run', 'only say what would be done, and what is wrong'),
    async (portal, file: string, { json, format, update = false, dryRun = false }: Options) => {
      const read = readUsers(openFile(file), format ?? (/\.csv$/i.test(file) ? 'csv' : 'jsonl'))
      const report = new Report(json === true)
      const seen = new Seen()
      let batch: { line: number; row: ImportedRow }[] = []
      let size = 0
      const send = async () => {
        if (batch.length > 0) await importBatch(portal, batch, { update, dry_run: dryRun }, report)
        batch = []
        size = 0
      }
      for await (const each of read) {
        const problems = 'problem' in each ? [each.problem] : problemsOf(each.row)
        const row = problems.length === 0 && 'row' in each ? (each.row as ImportedRow) : null
        if (row !== null) problems.push(...seen.duplicates(row, each.line))
        if (problems.length > 0) {
          report.refuse(each.line, problems)
          continue
        }
        batch.push({ line: each.line, row: row as ImportedRow })
        size += JSON.stringify(row).length
        if (batch.length === BATCH || size > BATCH_SIZE) await send()
      }
      await send()
      print({ dry_run: dryRun, ...report.summary() }, json)
      const { refused } = report.counts
      if (refused > 0) throw new CommandRefused(`${refused} ${refused === 1 ? 'line was' : 'lines were'} refused`)
    },
  )
}

const BATCH = 250
/** In characters; a line may be as long again, and a request has 1 MB at most. */
const BATCH_SIZE = 200_000

async function* openFile(file: string): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of file === '-' ? process.stdin : createReadStream(file)) yield chunk as Buffer
  } catch (error) {
    throw new CommandRefused(`${file} cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})`)
  }
}

async function importBatch(
  portal: Portal,
  batch: { line: number; row: ImportedRow }[],
  options: { update: boolean; dry_run: boolean },
  report: Report,
): Promise<void> {
  const identities = batch.map(({ row }) => row)
  const { results } = await portal.perform(OPERATIONS.importIdentities, { identities, ...options })
  for (const [at, { outcome, problems }] of results.entries()) {
    if (outcome !== 'refused') report.count(outcome)
    else report.refuse(batch[at]?.line as number, problems.map(inWords))
  }
}

/** What a line has that no import takes, without asking the portal. */
function problemsOf(row: Record<string, unknown>): string[] {
  try {
    readInput(OPERATIONS.importIdentities, { identities: [row] })
    return []
  } catch (error) {
    if (!(error instanceof InvalidInput)) throw error
    return error.problems.map(({ field, problem }) =>
      inWords({ field: field.replace(/^identities\.0\.?/, ''), problem }),
    )
  }
}

function inWords({ field, problem }: { field: string; problem: string }): string {
  return field === '' ? problem : `${field}: ${problem}`
}

/** The names and addresses in a file so far: two lines with the same one are a mistake, which one alone is meant. */
class Seen {
  /** Line by a hash of what it has, so that a large file takes little memory. */
  readonly #lines = new Map<number, number>()

  duplicates({ username, email }: ImportedRow, line: number): string[] {
    const name = canonicalUserName(username)
    const faults = [
      this.#note(`name ${loginKeyOf(name)}`, line, 'username: the same as in'),
      this.#note(`email ${loginKeyOf(canonicalEmail(email))}`, line, 'email: the same as in'),
    ]
    const alike = skeletonsOf(name).map((each) => this.#note(`skeleton ${each}`, line, 'username: looks like that of'))
    const found = [...faults, ...(faults[0] === null ? alike.filter((each) => each !== null).slice(0, 1) : [])]
    return found.filter((each) => each !== null)
  }

  #note(key: string, line: number, words: string): string | null {
    const mark = Number.parseInt(hash('sha256', key).slice(0, 13), 16)
    const first = this.#lines.get(mark)
    if (first !== undefined && first !== line) return `${words} line ${first}`
    this.#lines.set(mark, line)
    return null
  }
}

/** How many problems a JSON report names. */
const MOST_PROBLEMS = 1000

/** What became of the lines of a file. */
class Report {
  readonly counts = { created: 0, updated: 0, unchanged: 0, skipped: 0, refused: 0 }
  readonly #problems: { line: number; problem: string }[] = []
  readonly #isJson: boolean

  constructor(isJson: boolean) {
    this.#isJson = isJson
  }

  count(outcome: keyof Report['counts']): void {
    this.counts[outcome]++
  }

  refuse(line: number, problems: string[]): void {
    this.counts.refused++
    for (const problem of problems) {
      if (!this.#isJson) process.stderr.write(`line ${line}: ${problem}\n`)
      else if (this.#problems.length < MOST_PROBLEMS) this.#problems.push({ line, problem })
    }
  }

  summary(): Record<string, unknown> {
    return { ...this.counts, ...(this.#isJson ? { problems: this.#problems } : {}) }
  }
}
