import { type Command, Option } from 'commander'
import { stringify } from 'csv-stringify/sync'
import { OPERATIONS } from '../administration/operations.ts'
import { listPasswordHashes } from '../domain/accounts/imports.ts'
import { CommandRefused } from './command-refused.ts'
import { printLines } from './output.ts'
import { pagesOf, type Portal, withPortal } from './portal.ts'
import { EXPORTED_COLUMNS, type Format, FORMATS } from './user-files.ts'

interface Options {
  format: Format
  withPasswordHashes?: boolean
}

/** `user export`. */
export function addExportCommand(user: Command): void {
  withPortal(
    user
      .command('export')
      .description('Print the identities as `user import` reads them, one a line, without those that are deleted.')
      .addOption(new Option('--format <format>', 'jsonl or csv').choices(FORMATS).default('jsonl'))
      .option('--with-password-hashes', 'also the hashes of their passwords; only where the portal runs'),
    async (portal, { format, withPasswordHashes = false }: Options) => {
      if (withPasswordHashes && portal.local === null)
        throw new CommandRefused('password hashes are exported where the portal runs; GATEHOUSE_URL must not be set')
      await printLines(linesOf(portal, format, withPasswordHashes))
    },
  )
}

async function* linesOf(portal: Portal, format: Format, withHashes: boolean): AsyncGenerator<string> {
  if (format === 'csv')
    yield stringify([withHashes ? EXPORTED_COLUMNS : EXPORTED_COLUMNS.filter((name) => name !== 'password_hash')], CSV)
  for await (const identities of pagesOf(portal, OPERATIONS.listIdentities, {})) {
    const kept = identities.filter(({ state }) => state !== 'deleted')
    const hashes =
      withHashes && portal.local !== null
        ? await listPasswordHashes(
            portal.local,
            kept.map(({ id }) => id as string),
          )
        : new Map<string, string>()
    const rows = kept.map((each) => rowOf(each, hashes.get(each['id'] as string)))
    yield format === 'csv'
      ? stringify(
          rows.map((row) => cellsOf(row, withHashes)),
          CSV,
        )
      : rows.map((row) => `${JSON.stringify(row)}\n`).join('')
  }
}

/** A value that a spreadsheet would compute as a formula gets an apostrophe before it. */
const CSV = { escape_formulas: true, record_delimiter: 'windows' } as const

function rowOf(identity: Record<string, unknown>, passwordHash: string | undefined): Record<string, unknown> {
  const { username, email, email_verified, name, assigned_roles: roles, groups, attributes, state } = identity
  return {
    username,
    email,
    email_verified,
    ...(name === null ? {} : { name }),
    roles,
    groups: (groups as { name: string }[]).map((group) => group.name),
    attributes,
    ...(passwordHash === undefined ? {} : { password_hash: passwordHash }),
    ...(state === 'disabled' ? { disabled: true } : {}),
  }
}

function cellsOf(row: Record<string, unknown>, withHashes: boolean): string[] {
  return EXPORTED_COLUMNS.filter((name) => withHashes || name !== 'password_hash').map((name) => {
    const value = row[name]
    if (value === undefined || value === null) return ''
    if (Array.isArray(value)) return value.length === 0 ? '' : listCell(value as string[])
    if (typeof value === 'object' && Object.keys(value).length === 0) return ''
    return typeof value === 'string' ? value : JSON.stringify(value)
  })
}

/** With semicolons between, unless a value has one. */
function listCell(values: string[]): string {
  return values.some((each) => each.includes(';') || each.startsWith('[')) ? JSON.stringify(values) : values.join(';')
}
