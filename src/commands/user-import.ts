import { hash } from 'node:crypto'
import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import type { ImportedRow } from '../administration/imports.ts'
import { InvalidInput, readInput } from '../administration/operation.ts'
import { OPERATIONS } from '../administration/operations.ts'
import { canonicalEmail } from '../domain/identities/emails.ts'
import { groupKeyOf } from '../domain/identities/groups.ts'
import { canonicalUserName, skeletonsOf } from '../domain/identities/user-names.ts'
import { loginKeyOf } from '../domain/limits/login-keys.ts'
import type { FieldProblem } from '../domain/refused.ts'
import { CommandRefused } from './command-refused.ts'
import { print } from './output.ts'
import { pagesOf, type Portal, withPortal } from './portal.ts'
import { ImportReport } from './user-sources/import-report.ts'
import { type Entry, openSources, type Place, type Source, SOURCES } from './user-sources/user-source.ts'

interface Options {
  json?: boolean
  from?: Source
  format?: Source
  passwords?: string
  hashConfig?: string
  createGroups?: boolean
  update?: boolean
  dryRun?: boolean
  report?: string
}

/** `user import`. */
export function addImportCommand(user: Command): void {
  withPortal(
    user
      .command('import <file...>')
      .description(
        'Create identities from files, - for standard input; those that exist are skipped. It can be run again.',
      )
      .addOption(
        new Option(
          '--from <source>',
          'csv, jsonl (json-lines), or the export of keycloak, auth0, logto or firebase; else by the name and the beginning of a file',
        ).choices(SOURCES),
      )
      .addOption(new Option('--format <source>', 'the older name of --from').choices(SOURCES).hideHelp())
      .option('--passwords <file>', 'the password hashes of Auth0, in the file that its support sends')
      .option('--hash-config <file>', "the parameters of Firebase's password hashes, as its console shows them")
      .option('--create-groups', 'create the groups that there are not')
      .option('--update', 'change those that exist: roles are replaced, groups and attributes added')
      .option('--dry-run', 'only say what would be done, and what is wrong')
      .option('--report <file>', 'write a line of JSON for each that is refused, or not imported as a whole'),
    async (portal, files: string[], options: Options) => {
      const { json, report: path, createGroups = false, update = false, dryRun = false } = options
      if (path !== undefined && files.some((file) => resolve(file) === resolve(path)))
        throw new CommandRefused(`${path} is a file that is imported; the report must not replace it`)
      const report = await ImportReport.open(json === true, path)
      const groups = createGroups ? await GroupMaker.open(portal, dryRun) : null
      const batches = new Batches(portal, report, groups, { update, dry_run: dryRun })
      const seen = new Seen()
      const { passwords, hashConfig, from = options.format } = options
      for await (const { system, entries } of openSources(files, { from, passwords, hashConfig })) {
        for await (const entry of entries) await takeEntry(entry, system !== null, seen, batches, report)
        // The files of one run may be of different systems.
        await batches.send()
      }
      report.groupsCreated = groups?.created ?? 0
      await report.close()
      print({ dry_run: dryRun, ...report.summary() }, json)
      const { refused } = report.counts
      if (refused > 0) throw new CommandRefused(`${refused} ${refused === 1 ? 'line was' : 'lines were'} refused`)
    },
  )
}

async function takeEntry(
  entry: Entry,
  leavesOut: boolean,
  seen: Seen,
  batches: Batches,
  report: ImportReport,
): Promise<void> {
  const { place } = entry
  if (entry.kind === 'ignored') report.ignored++
  else if (entry.kind === 'problem')
    await report.add(place, null, 'refused', { problems: [wordsOf(entry.problem)], leftOut: [] })
  else {
    const { row, leftOut } = entry
    const problems = problemsOf(row)
    if (problems.length === 0) problems.push(...seen.duplicates(row as ImportedRow, place))
    if (problems.length > 0) await report.add(place, row, 'refused', { problems, leftOut: [] })
    else await batches.add({ place, row: row as ImportedRow, leftOut }, leavesOut)
  }
}

/** `email: has none` is a problem of the field. */
function wordsOf(problem: string): FieldProblem {
  const [, field, words] = /^([a-z_]+): (.*)$/s.exec(problem) ?? []
  return field === undefined ? { field: '', problem } : { field, problem: words as string }
}

const BATCH = 250
/** In characters; a line may be as long again, and a request has 1 MB at most. */
const BATCH_SIZE = 200_000

interface Waiting {
  place: Place
  row: ImportedRow
  leftOut: FieldProblem[]
}

/** Sends users to the portal, some hundred at a time, and reports what became of them. */
class Batches {
  readonly #portal: Portal
  readonly #report: ImportReport
  readonly #groups: GroupMaker | null
  readonly #options: { update: boolean; dry_run: boolean }
  #waiting: Waiting[] = []
  #size = 0
  #leavesOut = false

  constructor(
    portal: Portal,
    report: ImportReport,
    groups: GroupMaker | null,
    options: { update: boolean; dry_run: boolean },
  ) {
    this.#portal = portal
    this.#report = report
    this.#groups = groups
    this.#options = options
  }

  async add(waiting: Waiting, leavesOut: boolean): Promise<void> {
    const size = JSON.stringify(waiting.row).length
    if (this.#size + size > MOST_SIZE) await this.send()
    this.#leavesOut = leavesOut
    this.#waiting.push(waiting)
    this.#size += size
    if (this.#waiting.length === BATCH || this.#size > BATCH_SIZE) await this.send()
  }

  async send(): Promise<void> {
    const batch = this.#waiting
    this.#waiting = []
    this.#size = 0
    if (batch.length === 0) return
    const identities = []
    for (const { row } of batch) identities.push((await this.#groups?.prepare(row)) ?? row)
    const input = { identities, ...this.#options, leave_out: this.#leavesOut }
    const { results } = await this.#portal.perform(OPERATIONS.importIdentities, input)
    for (const [at, { outcome, problems, left_out: leftOut }] of results.entries()) {
      const { place, row, leftOut: before } = batch[at] as Waiting
      await this.#report.add(place, row, outcome, { problems, leftOut: [...before, ...leftOut] })
    }
  }
}

const MOST_SIZE = 800_000

/** Creates the groups that users are in elsewhere. */
class GroupMaker {
  created = 0
  readonly #portal: Portal
  readonly #isDryRun: boolean
  /** The keys of the names of those that there are; in a dry run not those that would be created. */
  readonly #known: Set<string>
  readonly #missing = new Set<string>()

  private constructor(portal: Portal, isDryRun: boolean, known: Set<string>) {
    this.#portal = portal
    this.#isDryRun = isDryRun
    this.#known = known
  }

  static async open(portal: Portal, isDryRun: boolean): Promise<GroupMaker> {
    const known = new Set<string>()
    for await (const groups of pagesOf(portal, OPERATIONS.listGroups, {}))
      for (const { name } of groups) known.add(groupKeyOf(name as string))
    return new GroupMaker(portal, isDryRun, known)
  }

  /** What is imported of a user once its groups are there: in a dry run, without those that would be created. */
  async prepare(row: ImportedRow): Promise<ImportedRow> {
    for (const name of row.groups ?? []) {
      const key = groupKeyOf(name)
      if (this.#known.has(key) || this.#missing.has(key)) continue
      if (this.#isDryRun) this.#missing.add(key)
      else if (!(await this.#create(name))) continue
      else this.#known.add(key)
      this.created++
    }
    if (!this.#isDryRun || row.groups === undefined) return row
    return { ...row, groups: row.groups.filter((name) => !this.#missing.has(groupKeyOf(name))) }
  }

  /** False for a name that no group can have, which the import then says. */
  async #create(name: string): Promise<boolean> {
    if (name.trim() === '' || name.length > 100) return false
    await this.#portal.perform(OPERATIONS.createGroup, { name })
    return true
  }
}

/** What a line has that no import takes, without asking the portal. */
function problemsOf(row: Record<string, unknown>): FieldProblem[] {
  try {
    readInput(OPERATIONS.importIdentities, { identities: [row] })
    return []
  } catch (error) {
    if (!(error instanceof InvalidInput)) throw error
    return error.problems.map(({ field, problem }) => ({ field: field.replace(/^identities\.0\.?/, ''), problem }))
  }
}

/** The names and addresses so far: two users with the same one are a mistake, which one alone is meant. */
class Seen {
  /** Place by a hash of what it has, so that a large file takes little memory. */
  readonly #places = new Map<number, Pick<Place, 'file' | 'line' | 'record'>>()

  duplicates({ username, email }: ImportedRow, place: Place): FieldProblem[] {
    const found = [this.#note(`email ${loginKeyOf(canonicalEmail(email))}`, place, 'email', 'the same as in')]
    if (username !== undefined) {
      const name = canonicalUserName(username)
      const same = this.#note(`name ${loginKeyOf(name)}`, place, 'username', 'the same as in')
      const alike = skeletonsOf(name).map((each) =>
        this.#note(`skeleton ${each}`, place, 'username', 'looks like that of'),
      )
      found.push(same, ...(same === null ? alike.filter((each) => each !== null).slice(0, 1) : []))
    }
    return found.filter((each) => each !== null)
  }

  #note(key: string, { file, line, record }: Place, field: string, words: string): FieldProblem | null {
    const mark = Number.parseInt(hash('sha256', key).slice(0, 13), 16)
    const first = this.#places.get(mark)
    if (first !== undefined && (first.file !== file || first.line !== line || first.record !== record)) {
      const at = first.record === null ? `line ${first.line}` : `user ${first.record}`
      return { field, problem: `${words} ${first.file === null ? '' : `${first.file}, `}${at}` }
    }
    this.#places.set(mark, { file, line, record })
    return null
  }
}
