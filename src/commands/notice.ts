import { type Command, InvalidArgumentError, Option } from 'commander'
import {
  listNotifications,
  type Notification,
  NOTIFICATION_STATES,
  type NotificationState,
  resendNotifications,
} from '../domain/endings/notifications.ts'
import type { Services } from '../domain/services.ts'
import { CommandRefused } from './command-refused.ts'
import { readCount } from './counts.ts'
import { onPortal, print, printList } from './output.ts'

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

  onPortal(
    notice
      .command('list')
      .description('List back-channel notifications, sent and queued, newest first.')
      .option('--app <client-id>', 'of this app')
      .addOption(new Option('--state <state>', 'how far it is').choices(NOTIFICATION_STATES))
      .option('--family <id>', 'about this family', uuid)
      .option('--limit <count>', 'so many at most', readCount, 200),
    async (services: Services, { app: clientId, family: familyId, state, limit, json }: ListOptions) => {
      const notices = await listNotifications(services, { clientId, familyId, state }, limit)
      printList(notices.map(describe), [...COLUMNS], json)
    },
  )

  onPortal(
    notice
      .command('resend')
      .description('Send undelivered notifications again: these, or all of an app.')
      .argument('[id...]', 'notifications', (value: string, before: string[]) => [...before, uuid(value)], [])
      .option('--app <client-id>', 'everything of this app'),
    async (services: Services, ids: string[], { app: clientId, json }: { app?: string; json?: boolean }) => {
      if ((clientId === undefined) === (ids.length === 0))
        throw new CommandRefused('name either notifications or an --app')
      const sent = await resendNotifications(services, clientId === undefined ? { ids } : { clientId })
      const others = ids.filter((id) => !sent.includes(id))
      print({ resent: sent.length, ...(others.length > 0 && { not_given_up: others }) }, json)
    },
  )
}

const COLUMNS = ['id', 'app', 'kind', 'family', 'cause', 'happened', 'attempts', 'state', 'problem'] as const

function describe(notice: Notification): Record<(typeof COLUMNS)[number], unknown> & Record<string, unknown> {
  return {
    id: notice.id,
    app: notice.clientId,
    kind: notice.kind,
    family: notice.familyId,
    cause: notice.cause,
    happened: notice.happenedAt,
    attempts: notice.attempts,
    last_attempt: notice.lastAttemptAt,
    state: notice.state,
    problem: notice.problem,
  }
}

function uuid(value: string): string {
  if (!/^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/.test(value)) throw new InvalidArgumentError('It is not an id.')
  return value
}
