import type { Command } from 'commander'
import { OPERATIONS } from '../administration/operations.ts'
import { isUuid } from '../domain/uuid.ts'
import { CommandRefused } from './command-refused.ts'
import { limit as upTo } from './limits.ts'
import { print, printList } from './output.ts'
import { listAll, type Portal, withPortal } from './portal.ts'

interface FamilyOptions {
  json?: boolean
  user?: string
  app?: string
  limit: number
}

export function addFamilyCommands(program: Command): void {
  const family = program.command('family').description('Find out why a user was signed out of an app.')

  withPortal(
    family
      .command('list')
      .description('List the families of a user, or the active ones of an app, newest first.')
      .option('--user <login>', 'user name or e-mail address')
      .option('--app <client-id>', 'of this app only')
      .option('--limit <count>', 'at most so many', upTo, 50),
    async (portal, { user, app, limit, json }: FamilyOptions) => {
      if (user === undefined && app === undefined) throw new CommandRefused('name a --user or an --app')
      const families = await listAll(portal, OPERATIONS.listFamilies, { identity: user, client_id: app }, limit)
      printList(families.map(describe), ['id', 'app', 'opened_at', 'from', 'generation', 'ended_at', 'why'], json)
    },
  )

  withPortal(
    family
      .command('show <id>')
      .description('Show the timeline of a family (its id is `fam` in its tokens, and in the log).'),
    async (portal, id: string, { json }: FamilyOptions) => tell(await find(portal, id), json),
  )

  withPortal(
    family.command('end <id>').description('End a family; the user has to sign in to the app again.'),
    async (portal, id: string, { json }: FamilyOptions) => {
      await find(portal, id)
      await portal.perform(OPERATIONS.endFamily, { family: id })
      print(describe(await find(portal, id)), json)
    },
  )
}

type FamilyDetails = Awaited<ReturnType<typeof find>>

async function find(portal: Portal, id: string) {
  if (!isUuid(id)) throw new CommandRefused(`there is no family ${id}, or it ended too long ago to be remembered`)
  return portal.perform(OPERATIONS.showFamily, { family: id })
}

function tell(family: FamilyDetails, json: boolean | undefined): void {
  const { username, delivery, advice, notifications, timeline, tokens_until, identity_id } = family
  const story = timeline.map((entry) => ({
    kind: entry.kind,
    what: entry.what,
    count: entry.count,
    first: entry.first_at,
    last: entry.last_at,
    generation: entry.generation,
    from: entry.from,
  }))
  const about = {
    ...describe(family),
    heard: delivery,
    tokens_until,
    user: username,
    ...(advice === null ? {} : { advice }),
    identity_id,
  }
  if (json) return print({ ...about, notices: notifications, story }, json)
  print(about, json)
  process.stdout.write('\n')
  printList(
    story.map((entry) => ({ ...entry, from: entry.from.join('; ') })),
    ['first', 'last', 'kind', 'what', 'from'],
    json,
  )
}

function describe(family: Record<string, unknown>): Record<string, unknown> {
  return {
    id: family['id'],
    app: family['client_id'],
    state: family['state'],
    opened_at: family['created_at'],
    from: family['from'],
    generation: family['generation'],
    last_used_at: family['last_used_at'],
    expires_at: family['expires_at'],
    ended_at: family['ended_at'],
    cause: family['cause'],
    why: family['why'],
  }
}
