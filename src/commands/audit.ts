import { type Command, Option } from 'commander'
import { OPERATIONS } from '../administration/operations.ts'
import { readCount } from './counts.ts'
import { printLines, printList } from './output.ts'
import { listAll, withPortal } from './portal.ts'

interface FilterOptions {
  identity?: string
  operator?: string
  app?: string
  kind?: string
  cause?: string
  from?: string
  to?: string
  json?: boolean
}

const COLUMNS = ['at', 'kind', 'username', 'client_id', 'cause', 'detail', 'address', 'actor', 'id']

export function addAuditCommands(program: Command): void {
  const audit = program.command('audit').description('Read the audit log.')

  withPortal(
    withFilter(audit.command('list').description('List what happened, newest first.')).option(
      '--limit <count>',
      'so many at most',
      readCount,
      50,
    ),
    async (portal, { limit: most, json, ...options }: FilterOptions & { limit: number }) => {
      const found = await listAll(portal, OPERATIONS.listAuditEvents, filterOf(options), most)
      printList(found, COLUMNS, json)
    },
  )

  withPortal(
    withFilter(
      audit.command('export').description('Print what happened, newest first, as JSON lines or CSV.'),
    ).addOption(new Option('--format <format>', 'the format').choices(['jsonl', 'csv']).default('jsonl')),
    async (portal, { format, ...options }: FilterOptions & { format: string }) => {
      const lines = await portal.perform(OPERATIONS.exportAuditEvents, { ...filterOf(options), format })
      await printLines(lines as AsyncIterable<string>)
    },
  )
}

function withFilter(command: Command): Command {
  return command
    .option('--identity <login>', 'of this identity: its id, user name or e-mail address')
    .option('--operator <name>', 'what this operator did')
    .option('--app <client-id>', 'about this app')
    .option('--kind <kind>', 'of this kind, such as signed_in')
    .option('--cause <cause>', 'with this cause')
    .option('--from <time>', 'from this time on (ISO 8601, such as 2026-11-30T08:00:00Z)')
    .option('--to <time>', 'before this time')
}

function filterOf({ app, ...options }: FilterOptions): Record<string, unknown> {
  const { identity, operator, kind, cause, from, to } = options
  const all = { identity, operator, client_id: app, kind, cause, from, to }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
}
