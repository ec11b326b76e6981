import type { Request, Response } from 'express'
import { OPERATIONS } from '../../administration/operations.ts'
import { type Message, message } from '../../i18n/messages.ts'
import { textsOf } from '../context.ts'
import { redirectWith } from '../flash-messages.ts'
import { textField } from '../form-fields.ts'
import { act } from './act.ts'
import { ask, renderAdmin } from './admin-page.ts'
import { appHref, appOf, type AppRequest } from './app-page.ts'

/** GET /admin/apps/:client_id/secret */
export async function newAppSecret(req: AppRequest, res: Response): Promise<void> {
  const { t } = textsOf(req)
  const { client_id: id, name, previous_secret_until: until } = await appOf(req)
  await ask(req, res, 'apps', {
    title: t('admin.apps.rotate_title', { app: name }),
    lines: [t('admin.secret.rotate_lead'), ...(until === null ? [] : [t('admin.secret.rotate_twice')])],
    action: appHref(id, '/secret'),
    button: t('admin.secret.rotate_button'),
    isDangerous: until !== null,
    backHref: appHref(id),
  })
}

/** POST /admin/apps/:client_id/secret: the page that shows the new secret, once. */
export async function createAppSecret(req: AppRequest, res: Response): Promise<void> {
  const { t } = textsOf(req)
  const { client_id: id, name } = await appOf(req)
  const made = await act(req, OPERATIONS.rotateAppSecret, { client_id: id })
  const title = t('admin.apps.rotated_title', { app: name })
  const until = made.previous_secret_until
  await renderAdmin(
    req,
    res,
    'admin/secret',
    { title, section: 'apps' },
    {
      title,
      lead: t('admin.secret.once'),
      credentials: [
        { id: 'client-id', label: message('admin.apps.client_id'), value: id },
        { id: 'client-secret', label: message('admin.apps.client_secret'), value: made.client_secret },
      ],
      lines: until === null ? [] : [t('admin.secret.overlap', { until: new Date(until) })],
      snippets: [],
      onHref: appHref(id),
      onLabel: t('admin.apps.on_link', { app: name }),
    },
  )
}

/** GET /admin/apps/:client_id/token-key */
export async function newAppTokenKey(req: AppRequest, res: Response): Promise<void> {
  const { t } = textsOf(req)
  const { client_id: id, name } = await appOf(req)
  await ask(req, res, 'apps', {
    title: t('admin.token_key.title', { app: name }),
    lines: [t('admin.token_key.rotate_lead')],
    action: appHref(id, '/token-key'),
    button: t('admin.token_key.rotate_button'),
    isDangerous: true,
    backHref: appHref(id),
  })
}

/** POST /admin/apps/:client_id/token-key: the page that shows the new key, once. */
export async function createAppTokenKey(req: AppRequest, res: Response): Promise<void> {
  const { client_id: id, name } = await appOf(req)
  const { token_key: key } = await act(req, OPERATIONS.rotateAppTokenKey, { client_id: id })
  await showTokenKey(req, res, { id, name, key })
}

/** The page that shows a key of HS256, once. */
export async function showTokenKey(
  req: AppRequest,
  res: Response,
  { id, name, key }: { id: string; name: string; key: string },
): Promise<void> {
  const { t } = textsOf(req)
  const title = t('admin.token_key.title', { app: name })
  await renderAdmin(
    req,
    res,
    'admin/secret',
    { title, section: 'apps' },
    {
      title,
      lead: t('admin.secret.once'),
      credentials: [tokenKeyCredential(key)],
      lines: [t('admin.token_key.warning')],
      snippets: [],
      onHref: appHref(id),
      onLabel: t('admin.apps.on_link', { app: name }),
    },
  )
}

/** A key of HS256, as the page shows it once. */
export function tokenKeyCredential(value: string): { id: string; label: Message; value: string } {
  return { id: 'token-key', label: message('admin.apps.token_key'), value }
}

/** GET /admin/apps/:client_id/previous-secret */
export async function newPreviousSecretEnd(req: AppRequest, res: Response): Promise<void> {
  const { t } = textsOf(req)
  const { client_id: id, name } = await appOf(req)
  await ask(req, res, 'apps', {
    title: t('admin.apps.end_previous_title', { app: name }),
    lines: [t('admin.secret.end_previous_lead')],
    action: appHref(id, '/previous-secret'),
    button: t('admin.secret.end_previous_button'),
    backHref: appHref(id),
  })
}

/** POST /admin/apps/:client_id/previous-secret */
export async function createPreviousSecretEnd(req: AppRequest, res: Response): Promise<void> {
  const { client_id: id, name } = await appOf(req)
  await act(req, OPERATIONS.endPreviousAppSecret, { client_id: id })
  redirectWith(req, res, 'app-previous-secret-ended', appHref(id), { values: { app: name } })
}

/** GET /admin/apps/:client_id/test */
export async function newAppTest(req: AppRequest, res: Response): Promise<void> {
  await showTest(req, res, null)
}

/** POST /admin/apps/:client_id/test: the page with what the app answered. */
export async function createAppTest(req: AppRequest, res: Response): Promise<void> {
  const kind = textField(req.body, 'kind', 10)
  const answer = await act(req, OPERATIONS.sendTestNotification, { client_id: req.params.client_id, kind })
  await showTest(req, res, answer)
}

async function showTest(req: AppRequest, res: Response, answer: object | null): Promise<void> {
  const app = await appOf(req)
  const title = textsOf(req).t('admin.apps.test_title', { app: app.name })
  const uris = [
    { kind: 'logout', uri: app.backchannel_logout_uri, label: message('admin.apps.test_logout_button') },
    { kind: 'event', uri: app.event_receiver_uri, label: message('admin.apps.test_event_button') },
  ]
  await renderAdmin(
    req,
    res,
    'admin/apps/test',
    { title, section: 'apps' },
    {
      title,
      action: appHref(app.client_id, '/test'),
      backHref: appHref(app.client_id),
      settingsHref: appHref(app.client_id, '/settings/addresses'),
      tests: uris.filter(({ uri }) => uri !== null),
      answer,
    },
  )
}

/** GET /admin/apps/:client_id/disabling */
export async function newAppDisabling(req: AppRequest, res: Response): Promise<void> {
  const { t } = textsOf(req)
  const { client_id: id, name, users } = await appOf(req)
  await ask(req, res, 'apps', {
    title: t('admin.apps.disable_title', { app: name }),
    lines: [t('admin.apps.disable_lead'), t('admin.apps.signed_in', { count: users })],
    action: appHref(id, '/disabling'),
    button: t('admin.apps.disable_button'),
    backHref: appHref(id),
  })
}

/** POST /admin/apps/:client_id/disabling */
export async function createAppDisabling(req: AppRequest, res: Response): Promise<void> {
  const { client_id: id, name } = await act(req, OPERATIONS.disableApp, { client_id: req.params.client_id })
  redirectWith(req, res, 'app-disabled', appHref(id), { values: { app: name } })
}

/** GET /admin/apps/:client_id/enabling */
export async function newAppEnabling(req: AppRequest, res: Response): Promise<void> {
  const { t } = textsOf(req)
  const { client_id: id, name } = await appOf(req)
  await ask(req, res, 'apps', {
    title: t('admin.apps.enable_title', { app: name }),
    lines: [t('admin.apps.enable_lead')],
    action: appHref(id, '/enabling'),
    button: t('admin.apps.enable_button'),
    isDangerous: false,
    backHref: appHref(id),
  })
}

/** POST /admin/apps/:client_id/enabling */
export async function createAppEnabling(req: AppRequest, res: Response): Promise<void> {
  const { client_id: id, name } = await act(req, OPERATIONS.enableApp, { client_id: req.params.client_id })
  redirectWith(req, res, 'app-enabled', appHref(id), { values: { app: name } })
}

/** GET /admin/apps/:client_id/deletion */
export async function newAppDeletion(req: AppRequest, res: Response): Promise<void> {
  const { t } = textsOf(req)
  const { client_id: id, name, users } = await appOf(req)
  await ask(req, res, 'apps', {
    title: t('admin.apps.delete_title', { app: name }),
    lines: [
      t('admin.apps.delete_lead'),
      t('admin.apps.signed_in', { count: users }),
      t('admin.apps.delete_id', { id }),
    ],
    action: appHref(id, '/deletion'),
    button: t('admin.apps.delete_button'),
    backHref: appHref(id),
  })
}

/** POST /admin/apps/:client_id/deletion */
export async function createAppDeletion(req: AppRequest, res: Response): Promise<void> {
  const { client_id: id, name } = await appOf(req)
  await act(req, OPERATIONS.deleteApp, { client_id: id })
  redirectWith(req, res, 'app-deleted', '/admin/apps', { values: { app: name } })
}

/** POST /admin/apps/:client_id/roles */
export async function createAppRole(req: AppRequest, res: Response): Promise<void> {
  const role = textField(req.body, 'role', 100).trim()
  const { client_id: id } = await act(req, OPERATIONS.addAppRole, { client_id: req.params.client_id, role })
  redirectWith(req, res, 'app-role-added', appHref(id), { values: { role } })
}

type RoleRequest = Request<{ client_id: string; role: string }>

/** GET /admin/apps/:client_id/roles/:role/removal */
export async function newAppRoleRemoval(req: RoleRequest, res: Response): Promise<void> {
  const { t } = textsOf(req)
  const { client_id: id, name } = await appOf(req)
  const { role } = req.params
  await ask(req, res, 'apps', {
    title: t('admin.apps.remove_role_title', { role, app: name }),
    lines: [t('admin.apps.remove_role_lead')],
    action: appHref(id, `/roles/${encodeURIComponent(role)}/removal`),
    button: t('admin.apps.remove_role_button'),
    backHref: appHref(id),
  })
}

/** POST /admin/apps/:client_id/roles/:role/removal */
export async function createAppRoleRemoval(req: RoleRequest, res: Response): Promise<void> {
  await act(req, OPERATIONS.removeAppRole, req.params)
  redirectWith(req, res, 'app-role-removed', appHref(req.params.client_id), { values: { role: req.params.role } })
}
