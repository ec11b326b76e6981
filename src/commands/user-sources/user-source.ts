import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { FieldProblem } from '../../domain/refused.ts'
import { CommandRefused } from '../command-refused.ts'
import { readUsers } from '../user-files.ts'
import { auth0Id, auth0Password, auth0User } from './auth0.ts'
import { detectSystems, type System, SYSTEMS } from './detection.ts'
import { firebaseUser, readHashConfig } from './firebase.ts'
import type { ForeignUser } from './foreign-user.ts'
import { readJsonRecords } from './json-records.ts'
import { keycloakUser } from './keycloak.ts'
import { logtoUser } from './logto.ts'

/** What users are imported from: files as Gatehouse exports them, and exports of other systems. */
export const SOURCES = ['csv', 'jsonl', 'json-lines', ...SYSTEMS] as const
export type Source = (typeof SOURCES)[number]

/** Where in which file a user is. */
export interface Place {
  /** Only where there are several files. */
  file: string | null
  line: number
  /** The number of the user in the export of another system, where lines tell little. */
  record: number | null
  externalId: string | null
}

/** A user in a file, or why there is none. */
export type Entry = { place: Place } & (
  | { kind: 'user'; row: Record<string, unknown>; leftOut: FieldProblem[] }
  | { kind: 'problem'; problem: string }
  /** No user of the portal, such as the service account of a client. */
  | { kind: 'ignored' }
)

export interface SourceOptions {
  /** Undefined to find out by the name and the beginning of each file. */
  from: Source | undefined
  /** The file of password hashes of Auth0. */
  passwords: string | undefined
  /** The file with the parameters of Firebase's hashes. */
  hashConfig: string | undefined
}

/** The users in one file, and whose export it is. */
export interface OpenSource {
  /** Null for a file of Gatehouse's own. */
  system: System | null
  entries: AsyncGenerator<Entry>
}

/** The users in files, which are read one after another, as they are needed. `-` is standard input. @throws CommandRefused */
export async function* openSources(files: string[], options: SourceOptions): AsyncGenerator<OpenSource> {
  const convert = await openConverters(options)
  for (const file of files) {
    const { beginning, content } = await openFile(file)
    const source = options.from ?? sourceOf(file, beginning)
    refuseOther(file, beginning, source)
    const name = files.length > 1 ? file : null
    if (source === 'csv' || source === 'jsonl' || source === 'json-lines')
      yield { system: null, entries: ownEntries(content, source === 'csv' ? 'csv' : 'jsonl', name) }
    else yield { system: source, entries: foreignEntries(content, source, convert[source], name) }
  }
}

type Converter = (user: Record<string, unknown>) => ForeignUser | null

async function openConverters({ passwords, hashConfig }: SourceOptions): Promise<Record<System, Converter>> {
  const hashes = passwords === undefined ? new Map<string, string>() : await readPasswords(passwords)
  const config = hashConfig === undefined ? null : readHashConfig(await readText(hashConfig))
  if (typeof config === 'string') throw new CommandRefused(`${hashConfig} ${config}`)
  return {
    keycloak: keycloakUser,
    auth0: (user) => auth0User(user, hashes),
    logto: logtoUser,
    firebase: (user) => firebaseUser(user, config),
  }
}

async function readPasswords(file: string): Promise<Map<string, string>> {
  const hashes = new Map<string, string>()
  const { content } = await openFile(file)
  for await (const record of readJsonRecords(content, null)) {
    if ('problem' in record) throw new CommandRefused(`${file}: line ${record.line}: ${record.problem}`)
    const [id, hash] = [auth0Id(record.value), auth0Password(record.value)]
    if (id !== null && hash !== undefined) hashes.set(id, hash)
  }
  return hashes
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw unreadable(file, error)
  }
}

function unreadable(file: string, error: unknown): CommandRefused {
  return new CommandRefused(`${file} cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})`)
}

/** How much of a file is looked at to find out whose export it is (bytes). */
const BEGINNING = 64 * 1024

async function openFile(file: string): Promise<{ beginning: string; content: AsyncGenerator<Buffer> }> {
  const rest = read(file)
  const first: Buffer[] = []
  let size = 0
  while (size < BEGINNING) {
    const { value, done } = await rest.next()
    if (done === true) break
    first.push(value)
    size += value.length
  }
  const content = (async function* () {
    yield* first
    yield* rest
  })()
  return { beginning: Buffer.concat(first).subarray(0, BEGINNING).toString('utf8'), content }
}

async function* read(file: string): AsyncGenerator<Buffer, undefined> {
  try {
    for await (const chunk of file === '-' ? process.stdin : createReadStream(file)) yield chunk as Buffer
  } catch (error) {
    throw unreadable(file, error)
  }
}

/** @throws CommandRefused where a file may be of several systems, or is of none */
function sourceOf(file: string, beginning: string): Source {
  if (/\.csv$/i.test(file)) return 'csv'
  const isJson = /^\uFEFF?\s*[{[]/.test(beginning)
  const systems = isJson ? detectSystems(beginning) : []
  const [system] = systems
  if (system !== undefined && systems.length === 1) return system
  if (systems.length > 1)
    throw new CommandRefused(`${file} may be an export of ${systems.join(' or ')}: say which one with --from`)
  if (/^\uFEFF?\s*\[/.test(beginning))
    throw new CommandRefused(`${file} is of no system that is known here: say which one with --from`)
  return 'jsonl'
}

/** A file that is plainly of another system would lose the passwords of its users, and more. @throws CommandRefused */
function refuseOther(file: string, beginning: string, source: Source): void {
  const systems = detectSystems(beginning)
  const isSystem = (SYSTEMS as readonly string[]).includes(source)
  if (isSystem && systems.length > 0 && !systems.includes(source as System))
    throw new CommandRefused(`${file} is an export of ${systems.join(' or ')}, and not of ${source}`)
}

async function* ownEntries(
  content: AsyncIterable<Buffer>,
  format: 'csv' | 'jsonl',
  file: string | null,
): AsyncGenerator<Entry> {
  for await (const { line, ...each } of readUsers(content, format)) {
    const place = { file, line, record: null, externalId: null }
    if ('problem' in each) yield { place, kind: 'problem', problem: each.problem }
    else yield { place, kind: 'user', row: each.row, leftOut: [] }
  }
}

/** Where a system wraps its users in an object, the name of their array. */
const MEMBERS: Record<System, string | null> = { keycloak: 'users', auth0: null, logto: null, firebase: 'users' }

async function* foreignEntries(
  content: AsyncIterable<Buffer>,
  system: System,
  convert: Converter,
  file: string | null,
): AsyncGenerator<Entry> {
  let record = 0
  for await (const each of readJsonRecords(content, MEMBERS[system])) {
    record++
    const place = { file, line: each.line, record, externalId: null }
    if ('problem' in each) {
      yield { place, kind: 'problem', problem: each.problem }
      continue
    }
    const user = convert(each.value)
    if (user === null) yield { place, kind: 'ignored' }
    else if (user.row['email'] === undefined)
      yield { place: { ...place, externalId: user.externalId }, kind: 'problem', problem: 'email: has none' }
    else yield { place: { ...place, externalId: user.externalId }, kind: 'user', row: user.row, leftOut: user.leftOut }
  }
}
