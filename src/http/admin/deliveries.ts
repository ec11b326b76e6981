import type { Request, Response } from 'express'
import { OPERATIONS } from '../../administration/operations.ts'
import type { MailJob } from '../../domain/mail-jobs.ts'
import { Refused } from '../../domain/refused.ts'
import type { MessageKey } from '../../i18n/messages.ts'
import type { TimeWords } from '../../i18n/times.ts'
import { servicesOf, textsOf } from '../context.ts'
import { redirectWith } from '../flash-messages.ts'
import { textField } from '../form-fields.ts'
import { act } from './act.ts'
import { ask, renderAdmin } from './admin-page.ts'

const MAIL_KINDS = {
  'verify-address': 'admin.mail_kinds.verify_address',
  'reset-password': 'admin.mail_kinds.reset_password',
  'sign-in-link': 'admin.mail_kinds.sign_in_link',
  'password-changed': 'admin.mail_kinds.password_changed',
  'address-code': 'admin.mail_kinds.address_code',
  'sign-in-code': 'admin.mail_kinds.sign_in_code',
  'registered-again': 'admin.mail_kinds.registered_again',
  'change-address': 'admin.mail_kinds.change_address',
  'address-changed': 'admin.mail_kinds.address_changed',
  'unfamiliar-sign-in': 'admin.mail_kinds.unfamiliar_sign_in',
  'family-reuse': 'admin.mail_kinds.family_reuse',
  'account-linked': 'admin.mail_kinds.account_linked',
  'account-unlinked': 'admin.mail_kinds.account_unlinked',
  'second-factor-added': 'admin.mail_kinds.second_factor_added',
  'second-factor-removed': 'admin.mail_kinds.second_factor_removed',
  'deletion-requested': 'admin.mail_kinds.deletion_requested',
  erased: 'admin.mail_kinds.erased',
  test: 'admin.mail_kinds.test',
  invitation: 'admin.mail_kinds.invitation',
} as const satisfies Record<MailJob['kind'], MessageKey>

const NOTIFICATION_KINDS = {
  logout: 'admin.queues.kinds.logout',
  'session-revoked': 'admin.queues.kinds.session_revoked',
  'token-claims-change': 'admin.queues.kinds.claims_change',
} as const satisfies Record<string, MessageKey>

const STATES = {
  waiting: 'admin.queues.states.waiting',
  confirmed: 'admin.queues.states.confirmed',
  'given-up': 'admin.queues.states.given_up',
} as const satisfies Record<string, MessageKey>

/** GET /admin/queues */
export async function showDeliveries(req: Request, res: Response): Promise<void> {
  const { cursor } = req.query as { cursor?: string }
  const { t, number } = textsOf(req)
  const [mails, failed, { apps }] = await Promise.all([
    act(req, OPERATIONS.showMailQueue),
    act(req, OPERATIONS.listFailedMails, cursor === undefined ? {} : { cursor }),
    act(req, OPERATIONS.showNotificationQueue),
  ])
  await renderAdmin(
    req,
    res,
    'admin/queues/index',
    { title: t('admin.queues.title'), section: 'queues' },
    {
      mails: { waiting: mails.waiting, since: timeOf(req, mails.waiting_since), failed: mails.failed },
      failed: failed.items.map(({ id, kind, recipient, problem, failed_at: at }) => ({
        kind: t(
          Object.hasOwn(MAIL_KINDS, kind) ? MAIL_KINDS[kind as keyof typeof MAIL_KINDS] : 'admin.mail_kinds.other',
        ),
        recipient: recipient ?? t('admin.queues.no_address'),
        problem,
        at: timeOf(req, at),
        resendHref: `/admin/queues/mails/${id}/resend`,
      })),
      apps: apps.map((each) => ({
        name: each.app_name,
        waiting: number(each.waiting),
        since: timeOf(req, each.waiting_since),
        givenUp: each.given_up,
        givenUpWords: number(each.given_up),
        href: hrefOf('/admin/queues/notifications', { app: each.client_id }),
        resendHref: hrefOf('/admin/queues/notifications/resend', { app: each.client_id }),
      })),
      nextHref: failed.next_cursor && hrefOf('/admin/queues', { cursor: failed.next_cursor }),
    },
  )
}

/** GET /admin/queues/notifications */
export async function listNotifications(req: Request, res: Response): Promise<void> {
  const { app = '', state = '', cursor } = req.query as { app?: string; state?: string; cursor?: string }
  const { t } = textsOf(req)
  const page = await act(req, OPERATIONS.listNotifications, {
    ...(app === '' ? {} : { client_id: app }),
    ...(state === '' ? {} : { state }),
    ...(cursor === undefined ? {} : { cursor }),
  })
  await renderAdmin(
    req,
    res,
    'admin/queues/notifications',
    { title: t('admin.queues.notifications_title'), section: 'queues' },
    {
      app,
      state,
      states: Object.entries(STATES).map(([value, key]) => ({ value, label: t(key) })),
      notifications: page.items.map((each) => ({
        id: each.id,
        app: each.client_id,
        kind: t(
          Object.hasOwn(NOTIFICATION_KINDS, each.kind)
            ? NOTIFICATION_KINDS[each.kind as keyof typeof NOTIFICATION_KINDS]
            : 'admin.queues.kinds.logout',
        ),
        state: each.state,
        stateWords: t(STATES[each.state]),
        at: timeOf(req, each.happened_at),
        attempts: each.attempts,
        problem: each.problem,
        resendHref:
          each.state === 'given-up'
            ? hrefOf('/admin/queues/notifications/resend', { app: each.client_id, notification: each.id })
            : null,
      })),
      nextHref: page.next_cursor && hrefOf('/admin/queues/notifications', { app, state, cursor: page.next_cursor }),
    },
  )
}

/** GET /admin/queues/test-mail */
export async function newTestMail(req: Request, res: Response): Promise<void> {
  const { t } = textsOf(req)
  await ask(req, res, 'queues', {
    title: t('admin.queues.test_title'),
    lines: [t('admin.queues.test_lead')],
    action: '/admin/queues/test-mail',
    button: t('admin.queues.test_button'),
    isDangerous: false,
    backHref: '/admin/queues',
  })
}

/** POST /admin/queues/test-mail */
export async function createTestMail(req: Request, res: Response): Promise<void> {
  const { email } = await act(req, OPERATIONS.sendTestMail)
  redirectWith(req, res, 'test-mail-sent', '/admin/queues', { values: { email } })
}

/** GET /admin/queues/mails/:mail/resend */
export async function newMailResend(req: Request<{ mail: string }>, res: Response): Promise<void> {
  const { t } = textsOf(req)
  await ask(req, res, 'queues', {
    title: t('admin.queues.resend_mail_title'),
    lines: [t('admin.queues.resend_mail_lead')],
    action: `/admin/queues/mails/${encodeURIComponent(req.params.mail)}/resend`,
    button: t('admin.queues.resend_button'),
    isDangerous: false,
    backHref: '/admin/queues',
  })
}

/** POST /admin/queues/mails/:mail/resend */
export async function createMailResend(req: Request<{ mail: string }>, res: Response): Promise<void> {
  await act(req, OPERATIONS.resendMail, req.params)
  redirectWith(req, res, 'mail-resent', '/admin/queues')
}

/** GET /admin/queues/resend */
export async function newMailsResend(req: Request, res: Response): Promise<void> {
  const { t } = textsOf(req)
  const { failed } = await act(req, OPERATIONS.showMailQueue)
  await ask(req, res, 'queues', {
    title: t('admin.queues.resend_all_title'),
    lines: [t('admin.queues.resend_all_lead', { count: failed })],
    action: '/admin/queues/resend',
    button: t('admin.queues.resend_all_button'),
    isDangerous: false,
    backHref: '/admin/queues',
  })
}

/** POST /admin/queues/resend */
export async function createMailsResend(req: Request, res: Response): Promise<void> {
  const { resent } = await act(req, OPERATIONS.resendMails)
  redirectWith(req, res, 'mails-resent', '/admin/queues', { values: { count: resent } })
}

/** GET /admin/queues/notifications/resend */
export async function newNotificationResend(req: Request, res: Response): Promise<void> {
  const { t } = textsOf(req)
  const { app, notification } = req.query as { app?: unknown; notification?: unknown }
  if (typeof app !== 'string' || app === '' || app.length > 300) throw new Refused('there is no such app', 'not_found')
  const isOne = typeof notification === 'string'
  await ask(req, res, 'queues', {
    title: t(isOne ? 'admin.queues.resend_one_title' : 'admin.queues.resend_app_title', { app }),
    lines: [t(isOne ? 'admin.queues.resend_one_lead' : 'admin.queues.resend_app_lead', { app })],
    action: '/admin/queues/notifications/resend',
    button: t('admin.queues.resend_button'),
    isDangerous: false,
    fields: { app, notification: isOne ? notification : '' },
    backHref: hrefOf('/admin/queues/notifications', { app }),
  })
}

/** POST /admin/queues/notifications/resend */
export async function createNotificationResend(req: Request, res: Response): Promise<void> {
  const app = textField(req.body, 'app')
  const notification = textField(req.body, 'notification')
  const back = hrefOf('/admin/queues/notifications', { app })
  if (notification !== '') await act(req, OPERATIONS.resendNotification, { notification })
  const { resent } =
    notification === '' ? await act(req, OPERATIONS.resendNotifications, { client_id: app }) : { resent: 1 }
  redirectWith(req, res, 'notifications-resent', back, { values: { count: resent } })
}

function hrefOf(path: string, query: Record<string, string>): string {
  const given = Object.entries(query).filter(([, value]) => value !== '')
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`
}

function timeOf(req: Request, at: string | null): TimeWords | null {
  return at === null ? null : textsOf(req).time(new Date(at), servicesOf(req).clock())
}
