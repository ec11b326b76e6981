import { z } from 'zod'
import {
  countNotifications,
  listNotifications,
  NOTIFICATION_STATES,
  resendNotifications,
} from '../domain/endings/notifications.ts'
import { Refused } from '../domain/refused.ts'
import { momentKeyIn } from './moment-keys.ts'
import { operation } from './operation.ts'
import { listOf, PAGE, pageOf } from './pages-of-lists.ts'

const notification = z
  .object({
    id: z.uuid(),
    kind: z.string().describe('`logout`, `session-revoked` or `token-claims-change`.'),
    client_id: z.string(),
    family_id: z.uuid(),
    identity_id: z.uuid(),
    cause: z.string().nullable(),
    happened_at: z.iso.datetime(),
    state: z.enum(NOTIFICATION_STATES),
    attempts: z.number().int(),
    last_attempt_at: z.iso.datetime().nullable(),
    problem: z.string().nullable().describe('Why the last attempt failed.'),
  })
  .meta({ id: 'Notification' })

const clientId = z.string().min(1).max(300)
const read = { resource: 'notifications', kind: 'read', forSupport: true } as const
const change = { resource: 'notifications', kind: 'write', forSupport: false } as const

export const NOTIFICATION_OPERATIONS = {
  showNotificationQueue: operation({
    name: 'showNotificationQueue',
    summary:
      'Show, for each app, how many back-channel notifications wait or were given up; 10,000 of an app are counted.',
    method: 'get',
    path: '/notifications/queue',
    ...read,
    input: z.strictObject({}),
    output: z
      .object({
        apps: z.array(
          z.object({
            client_id: z.string(),
            app_name: z.string(),
            waiting: z.number().int(),
            waiting_since: z.iso.datetime().nullable(),
            given_up: z.number().int(),
          }),
        ),
      })
      .meta({ id: 'NotificationQueue' }),
    async act(services) {
      const open = await countNotifications(services)
      return {
        apps: open.map((each) => ({
          client_id: each.clientId,
          app_name: each.appName,
          waiting: each.waiting,
          waiting_since: each.oldest?.toISOString() ?? null,
          given_up: each.givenUp,
        })),
      }
    },
  }),

  listNotifications: operation({
    name: 'listNotifications',
    summary: 'List back-channel notifications, sent and queued, newest first.',
    method: 'get',
    path: '/notifications',
    ...read,
    input: z.strictObject({
      client_id: clientId.optional().describe('To this app.'),
      family_id: z.uuid().optional().describe('About this family.'),
      state: z.enum(NOTIFICATION_STATES).optional(),
      ...PAGE,
    }),
    output: listOf(notification),
    async act(services, { client_id: app, family_id: familyId, state, limit, cursor }) {
      const key = momentKeyIn(cursor)
      const choice = { clientId: app, familyId, state }
      const rows = await listNotifications(services, choice, limit + 1, key && { happenedAt: key.at, id: key.id })
      const shape = (row: (typeof rows)[number]) => ({
        id: row.id,
        kind: row.kind,
        client_id: row.clientId,
        family_id: row.familyId,
        identity_id: row.identityId,
        cause: row.cause,
        happened_at: row.happenedAt.toISOString(),
        state: row.state,
        attempts: row.attempts,
        last_attempt_at: row.lastAttemptAt?.toISOString() ?? null,
        problem: row.problem,
      })
      return pageOf(rows, limit, shape, ({ happenedAt, id }) => [happenedAt.toISOString(), id])
    },
  }),

  resendNotification: operation({
    name: 'resendNotification',
    summary: 'Send a back-channel notification again that was given up.',
    method: 'post',
    path: '/notifications/{notification}/resend',
    ...change,
    input: z.strictObject({ notification: z.uuid().describe('The id of the notification.') }),
    output: null,
    async act(services, { notification: id }) {
      const sent = await resendNotifications(services, { ids: [id] })
      if (sent.length === 0) throw new Refused(`no notification ${id} was given up`, 'not_found')
      return null
    },
  }),

  resendNotifications: operation({
    name: 'resendNotifications',
    summary: 'Send all back-channel notifications of an app again that were given up.',
    method: 'post',
    path: '/notifications/resend',
    ...change,
    input: z.strictObject({ client_id: clientId }),
    output: z.object({ resent: z.number().int() }),
    async act(services, { client_id: app }) {
      const sent = await resendNotifications(services, { clientId: app })
      return { resent: sent.length }
    },
  }),
}
