import { type Command, InvalidArgumentError, Option } from 'commander'
import { OPERATIONS } from '../administration/operations.ts'
import { NOTIFICATION_STATES, type NotificationState } from '../domain/endings/notifications.ts'
import { Refused } from '../domain/refused.ts'
import { CommandRefused } from './command-refused.ts'
import { readCount } from './counts.ts'
import { print, printList } from './output.ts'
import { listAll, type Portal, withPortal } from './portal.ts'

interface ListOptions {
  json?: boolean
  app?: string
  state?: NotificationState
  family?: string
  limit: number
}

export function addNoticeCommands(program: Command): void {
  const notice = program
    .command('notification')
    .alias('notice')
    .description('See the delivery status of back-channel notifications, and send them again.')

  withPortal(
    notice
      .command('list')
      .description('List back-channel notifications, sent and queued, newest first.')
      .option('--app <client-id>', 'of this app')
      .addOption(new Option('--state <state>', 'how far it is').choices(NOTIFICATION_STATES))
      .option('--family <id>', 'about this family', uuid)
      .option('--limit <count>', 'so many at most', readCount, 200),
    async (portal, { app, family, state, limit, json }: ListOptions) => {
      const choice = { client_id: app, family_id: family, state }
      const notices = await listAll(portal, OPERATIONS.listNotifications, choice, limit)
      printList(notices.map(describe), [...COLUMNS], json)
    },
  )

  withPortal(
    notice
      .command('resend')
      .description('Send undelivered notifications again: these, or all of an app.')
      .argument('[id...]', 'notifications', (value: string, before: string[]) => [...before, uuid(value)], [])
      .option('--app <client-id>', 'everything of this app'),
    async (portal, ids: string[], { app: clientId, json }: { app?: string; json?: boolean }) => {
      if ((clientId === undefined) === (ids.length === 0))
        throw new CommandRefused('name either notifications or an --app')
      if (clientId !== undefined)
        return print(await portal.perform(OPERATIONS.resendNotifications, { client_id: clientId }), json)
      const others: string[] = []
      for (const id of ids) if (!(await resend(portal, id))) others.push(id)
      print({ resent: ids.length - others.length, ...(others.length > 0 && { not_given_up: others }) }, json)
    },
  )
}

const COLUMNS = ['id', 'app', 'kind', 'family', 'cause', 'happened', 'attempts', 'state', 'problem'] as const

/** False for one that was not given up. */
async function resend(portal: Portal, notification: string): Promise<boolean> {
  try {
    await portal.perform(OPERATIONS.resendNotification, { notification })
    return true
  } catch (error) {
    if (error instanceof Refused && error.code === 'not_found') return false
    throw error
  }
}

function describe(notice: Record<string, unknown>): Record<string, unknown> {
  return {
    id: notice['id'],
    app: notice['client_id'],
    kind: notice['kind'],
    family: notice['family_id'],
    cause: notice['cause'],
    happened: notice['happened_at'],
    attempts: notice['attempts'],
    last_attempt: notice['last_attempt_at'],
    state: notice['state'],
    problem: notice['problem'],
  }
}

function uuid(value: string): string {
  if (!/^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/.test(value)) throw new InvalidArgumentError('It is not an id.')
  return value
}
