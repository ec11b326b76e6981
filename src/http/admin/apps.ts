import { MOST_COUNTED } from '../../domain/apps/apps.ts'
import type { Request, Response } from 'express'
import { OPERATIONS } from '../../administration/operations.ts'
import { message } from '../../i18n/messages.ts'
import { servicesOf, textsOf } from '../context.ts'
import { act } from './act.ts'
import { renderAdmin } from './admin-page.ts'
import { APP_KINDS, APP_SECTIONS, type AppSection, fieldsOf } from './app-fields.ts'
import { appHref, appOf, type AppRequest, tileOf } from './app-page.ts'
import { factsOf } from './facts.ts'

const STATES = ['enabled', 'disabled']

/** GET /admin/apps */
export async function listApps(req: Request, res: Response): Promise<void> {
  const { search = '', state = '', cursor } = req.query as { search?: string; state?: string; cursor?: string }
  const page = await act(req, OPERATIONS.listApps, {
    ...(search === '' ? {} : { search }),
    ...(STATES.includes(state) ? { state } : {}),
    ...(cursor === undefined ? {} : { cursor }),
  })
  const { t } = textsOf(req)
  const next = page.next_cursor && new URLSearchParams({ search, state, cursor: page.next_cursor })
  await renderAdmin(
    req,
    res,
    'admin/apps/index',
    { title: t('admin.apps.title'), section: 'apps' },
    {
      apps: page.items.map((app) => ({
        clientId: app.client_id,
        href: appHref(app.client_id),
        isDisabled: app.state === 'disabled',
        kind: APP_KINDS.find(({ type }) => type === app.type)?.title ?? '',
        ...tileOf(app),
      })),
      search,
      state,
      nextHref: next && `/admin/apps?${next}`,
    },
  )
}

/** GET /admin/apps/:client_id */
export async function showApp(req: AppRequest, res: Response): Promise<void> {
  const app = await appOf(req)
  const href = (page: string) => appHref(app.client_id, page)
  const sections = (Object.keys(APP_SECTIONS) as AppSection[])
    .map((name) => ({ name, fields: fieldsOf(name, app.type) }))
    .filter(({ fields }) => fields.length > 0)
    .map(({ name, fields }) => ({
      name,
      title: APP_SECTIONS[name].title,
      facts: factsOf(app, fields),
      editHref: href(`/settings/${name}`),
    }))
  const until = app.previous_secret_until
  await renderAdmin(
    req,
    res,
    'admin/apps/show',
    { title: app.name, section: 'apps' },
    {
      app: {
        clientId: app.client_id,
        isDisabled: app.state === 'disabled',
        kind: APP_KINDS.find(({ type }) => type === app.type)?.title ?? '',
        hasSecret: app.has_secret,
        hasTokenKey: app.token_key_id !== null,
        overlap: until === null ? null : message('admin.secret.overlap', { until: new Date(until) }),
        roles: app.roles.map((role) => ({ role, href: href(`/roles/${encodeURIComponent(role)}/removal`) })),
        users: app.users,
        isMany: app.families >= MOST_COUNTED,
        hasUsers: app.type !== 'service',
        takesTests: app.backchannel_logout_uri !== null || app.event_receiver_uri !== null,
        hasIcon: app.icon !== null,
        ...tileOf(app),
      },
      issuer: servicesOf(req).publicUrl,
      base: href(''),
      sections,
      roleFormLabel: message('admin.apps.role_label'),
    },
  )
}
