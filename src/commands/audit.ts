import { type Command, Option } from 'commander'
import type { AnswerOf } from '../administration/operation.ts'
import { OPERATIONS } from '../administration/operations.ts'
import { readCount } from './counts.ts'
import { CommandRefused } from './command-refused.ts'
import { print, printLines, printList } from './output.ts'
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
  const audit = program.command('audit').description('Read the audit log, and verify that it is as it was written.')

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

  withPortal(
    audit
      .command('verify')
      .description(
        'Verify the audit log: name every event that was changed after it was sealed. Exits with 1 if there is one.',
      )
      .option('--checkpoint <number:hash>', 'a checkpoint that was noted before, to find that newer ones were cut off'),
    async (portal, { checkpoint, json }: { checkpoint?: string; json?: boolean }) => {
      const found = await portal.perform(OPERATIONS.verifyAuditLog, checkpoint === undefined ? {} : { checkpoint })
      if (json) print(found, true)
      else await printLines(linesOf(found))
      if (!found.intact) throw new CommandRefused(`the audit log is not intact: findings: ${found.findings_total}`)
    },
  )
}

/** The first event that is not as it was comes first. */
async function* linesOf(found: AnswerOf<typeof OPERATIONS.verifyAuditLog>): AsyncGenerator<string> {
  const { first_altered: first, findings, newest_checkpoint: newest } = found
  if (first !== null) yield `The first event that is not as it was sealed: ${first.event}.\n`
  for (const { event, checkpoint, problem, meaning } of findings) {
    const about = event === null ? `checkpoint ${checkpoint}` : `event ${event}`
    yield `${about}: ${problem}. ${meaning}\n`
  }
  const unnamed = found.findings_total - findings.length
  if (unnamed > 0) yield `and as many findings more: ${unnamed}\n`
  if (found.intact) yield 'The audit log is intact.\n'
  yield `Events compared: ${found.events}, in checkpoints: ${found.checkpoints}.\n`
  if (newest !== null)
    yield `Newest checkpoint, to note elsewhere: ${newest.number}:${newest.hash} of ${newest.at ?? 'no time'}\n`
  if (found.unsealed_events > 0)
    yield `Events that are not sealed yet: ${found.unsealed_events}, since ${found.unsealed_since ?? 'no time'}.\n`
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
