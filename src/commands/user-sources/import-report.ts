import { once } from 'node:events'
import { createWriteStream, type WriteStream } from 'node:fs'
import type { FieldProblem } from '../../domain/refused.ts'
import { CommandRefused } from '../command-refused.ts'
import type { Place } from './user-source.ts'

/** How many problems a JSON report on standard output names. */
const MOST_PROBLEMS = 1000

export type Outcome = 'created' | 'updated' | 'unchanged' | 'skipped' | 'refused'

/** What became of the users in a file: counts, problems on standard error, and a line of JSON for each in the file of `--report`. */
export class ImportReport {
  readonly counts = { created: 0, updated: 0, unchanged: 0, skipped: 0, refused: 0 }
  ignored = 0
  groupsCreated = 0
  #partial = 0
  #withoutPassword = 0
  /** Of users, by the field that refused them or was left out. */
  readonly #refusedBy = new Map<string, number>()
  readonly #leftOut = new Map<string, number>()
  readonly #problems: Record<string, unknown>[] = []
  readonly #isJson: boolean
  readonly #file: WriteStream | null

  private constructor(isJson: boolean, file: WriteStream | null) {
    this.#isJson = isJson
    this.#file = file
  }

  /** @throws CommandRefused when the file cannot be written */
  static async open(isJson: boolean, path: string | undefined): Promise<ImportReport> {
    if (path === undefined) return new ImportReport(isJson, null)
    // It names users.
    const file = createWriteStream(path, { mode: 0o600 })
    try {
      await once(file, 'open')
    } catch (error) {
      throw new CommandRefused(`${path} cannot be written (${(error as NodeJS.ErrnoException).code})`)
    }
    return new ImportReport(isJson, file)
  }

  async add(
    place: Place,
    row: Record<string, unknown> | null,
    outcome: Outcome,
    found: { problems: FieldProblem[]; leftOut: FieldProblem[] },
  ): Promise<void> {
    this.counts[outcome]++
    const isChanged = outcome === 'created' || outcome === 'updated'
    const leftOut = isChanged ? found.leftOut : []
    if (leftOut.length > 0) this.#partial++
    const hasPassword = row?.['password_hash'] !== undefined && leftOut.every(({ field }) => field !== 'password_hash')
    if (outcome === 'created' && !hasPassword) this.#withoutPassword++
    count(this.#refusedBy, found.problems)
    count(this.#leftOut, leftOut)
    for (const problem of found.problems) this.#say(place, inWords(problem))
    if (found.problems.length > 0 || leftOut.length > 0) await this.#write(place, row, outcome, found.problems, leftOut)
  }

  /** Counts that are not zero alone, but for the outcomes. */
  summary(): Record<string, unknown> {
    return {
      ...this.counts,
      ...(this.ignored > 0 ? { ignored: this.ignored } : {}),
      ...(this.#withoutPassword > 0 ? { without_password: this.#withoutPassword } : {}),
      ...(this.groupsCreated > 0 ? { groups_created: this.groupsCreated } : {}),
      ...(this.#partial > 0 ? { partial: this.#partial, left_out: this.#shown(this.#leftOut) } : {}),
      ...(this.counts.refused > 0 ? { refused_by: this.#shown(this.#refusedBy) } : {}),
      ...(this.#isJson ? { problems: this.#problems } : {}),
    }
  }

  async close(): Promise<void> {
    if (this.#file === null) return
    this.#file.end()
    await once(this.#file, 'close')
  }

  #say({ file, line, record, externalId }: Place, problem: string): void {
    if (this.#isJson) {
      if (this.#problems.length < MOST_PROBLEMS)
        this.#problems.push({ ...placeFields({ file, line, record, externalId }), problem })
      return
    }
    const id = externalId === null ? '' : ` (${externalId})`
    const at = record === null ? `line ${line}` : `user ${record}${id}`
    process.stderr.write(`${file === null ? '' : `${file}: `}${at}: ${problem}\n`)
  }

  async #write(
    place: Place,
    row: Record<string, unknown> | null,
    outcome: Outcome,
    problems: FieldProblem[],
    leftOut: FieldProblem[],
  ): Promise<void> {
    if (this.#file === null) return
    const { username, email } = row ?? {}
    const line = { ...placeFields(place), username, email, outcome, problems, left_out: leftOut }
    if (!this.#file.write(`${JSON.stringify(line)}\n`)) await once(this.#file, 'drain')
  }

  #shown(counts: Map<string, number>): unknown {
    const sorted = [...counts].toSorted(([, a], [, b]) => b - a)
    return this.#isJson ? Object.fromEntries(sorted) : sorted.map(([field, number]) => `${field}: ${number}`).join(', ')
  }
}

function placeFields({ file, line, record, externalId }: Place): Record<string, unknown> {
  return {
    ...(file === null ? {} : { file }),
    line,
    ...(record === null ? {} : { record }),
    ...(externalId === null ? {} : { external_id: externalId }),
  }
}

/** A user counts once for a field. */
function count(counts: Map<string, number>, problems: FieldProblem[]): void {
  for (const field of new Set(problems.map((each) => each.field || 'file')))
    counts.set(field, (counts.get(field) ?? 0) + 1)
}

function inWords({ field, problem }: FieldProblem): string {
  return field === '' ? problem : `${field}: ${problem}`
}
