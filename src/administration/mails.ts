import { z } from 'zod'
import { countMails, listFailedMails, resendMails, sendTestMail } from '../domain/accounts/failed-mails.ts'
import { findIdentity, findIdentityByLogin } from '../domain/identities/identities.ts'
import { Refused } from '../domain/refused.ts'
import { isUuid } from '../domain/uuid.ts'
import { operation } from './operation.ts'
import { listOf, PAGE, pageOf } from './pages-of-lists.ts'
import { momentKeyIn } from './moment-keys.ts'

const failedMail = z
  .object({
    id: z.uuid(),
    identity_id: z.uuid().nullable(),
    kind: z.string().describe('What it is about, such as `reset-password`.'),
    recipient: z.string().nullable(),
    problem: z.string().describe('Why it was given up.'),
    failed_at: z.iso.datetime(),
  })
  .meta({ id: 'FailedMail' })

const resent = z.object({ resent: z.number().int() })
const read = { resource: 'mails', kind: 'read', forSupport: true } as const
const change = { resource: 'mails', kind: 'write', forSupport: false } as const

export const MAIL_OPERATIONS = {
  showMailQueue: operation({
    name: 'showMailQueue',
    summary: 'Show how many mails wait and how many were given up; each number ends at 10,000.',
    method: 'get',
    path: '/mails/queue',
    ...read,
    input: z.strictObject({}),
    output: z
      .object({
        waiting: z.number().int(),
        waiting_since: z.iso.datetime().nullable(),
        failed: z.number().int(),
        failed_since: z.iso.datetime().nullable(),
      })
      .meta({ id: 'MailQueue' }),
    async act(services) {
      const { open, failed } = await countMails(services)
      return {
        waiting: open.count,
        waiting_since: open.oldest?.toISOString() ?? null,
        failed: failed.count,
        failed_since: failed.oldest?.toISOString() ?? null,
      }
    },
  }),

  listFailedMails: operation({
    name: 'listFailedMails',
    summary: 'List mails that were given up in the last seven days, newest first.',
    method: 'get',
    path: '/mails/failed',
    ...read,
    input: z.strictObject(PAGE),
    output: listOf(failedMail),
    async act(services, { limit, cursor }) {
      const key = momentKeyIn(cursor)
      const rows = await listFailedMails(services, key && { failedAt: key.at, id: key.id }, limit + 1)
      const shape = ({ id, identityId, kind, recipient, problem, failedAt }: (typeof rows)[number]) => ({
        id,
        identity_id: identityId,
        kind,
        recipient,
        problem,
        failed_at: failedAt.toISOString(),
      })
      return pageOf(rows, limit, shape, ({ failedAt, id }) => [failedAt.toISOString(), id])
    },
  }),

  resendMail: operation({
    name: 'resendMail',
    summary: 'Send a mail again that was given up; one with a link gets a new link.',
    method: 'post',
    path: '/mails/failed/{mail}/resend',
    ...change,
    input: z.strictObject({ mail: z.uuid().describe('The id of the mail.') }),
    output: null,
    async act(services, { mail }) {
      if ((await resendMails(services, [mail])) === 0) throw new Refused(`there is no failed mail ${mail}`, 'not_found')
      return null
    },
  }),

  resendMails: operation({
    name: 'resendMails',
    summary: 'Send all mails again that were given up.',
    method: 'post',
    path: '/mails/failed/resend',
    ...change,
    input: z.strictObject({}),
    output: resent,
    async act(services) {
      return { resent: await resendMails(services, null) }
    },
  }),

  sendTestMail: operation({
    name: 'sendTestMail',
    summary: 'Send a mail to try out the mail server: to the administrator who asks, or to another identity.',
    method: 'post',
    path: '/mails/test',
    ...change,
    status: 202,
    input: z.strictObject({
      identity: z.string().min(1).max(254).optional().describe('Its id, user name or e-mail address.'),
    }),
    output: z.object({ email: z.string().describe('Where it goes to.') }),
    async act(services, { identity }) {
      const who = identity ?? services.operator?.id ?? null
      if (who === null) throw new Refused('identity: name the one who gets the mail')
      const found =
        (isUuid(who) ? await findIdentity(services, who) : null) ?? (await findIdentityByLogin(services, who))
      if (found === null) throw new Refused(`there is no identity ${who}`, 'not_found')
      return sendTestMail(services, found.id)
    },
  }),
}
