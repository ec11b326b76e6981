import { randomUUID } from 'node:crypto'
import type { Request, Response } from 'express'
import { OPERATIONS } from '../../administration/operations.ts'
import { message } from '../../i18n/messages.ts'
import { servicesOf, textsOf } from '../context.ts'
import { act } from './act.ts'
import { renderAdmin } from './admin-page.ts'
import { APP_KINDS, type AppKind, newFieldsOf } from './app-fields.ts'
import { tokenKeyCredential } from './app-acts.ts'
import { appHref } from './app-page.ts'
import { type FormProblems, NO_PROBLEMS, problemsOf } from './refusals.ts'
import { type FormValues, sentValues, settingsIn } from './setting-fields.ts'
import { snippetsFor } from './snippets.ts'

/** GET /admin/apps/new: first the kind, then its form. */
export async function newApp(req: Request, res: Response): Promise<void> {
  const type = kindOf(req.query['type'])
  if (type !== null) return showForm(req, res, type, { access: 'everyone' }, NO_PROBLEMS)
  await renderAdmin(
    req,
    res,
    'admin/apps/kinds',
    { title: textsOf(req).t('admin.apps.new_title'), section: 'apps' },
    { kinds: APP_KINDS.map((kind) => ({ ...kind, href: `/admin/apps/new?type=${kind.type}` })) },
  )
}

/** POST /admin/apps */
export async function createApp(req: Request, res: Response): Promise<void> {
  const type = kindOf((req.body as { type?: unknown } | undefined)?.type)
  if (type === null) return res.redirect(303, '/admin/apps/new')
  const fields = newFieldsOf(type)
  const values = sentValues(req.body, fields)
  let created
  try {
    created = await act(req, OPERATIONS.createApp, { type, ...settingsIn(values, fields) })
  } catch (error) {
    return showForm(req, res.status(422), type, values, problemsOf(error, fields))
  }
  const { t } = textsOf(req)
  const { client_id: clientId, client_secret: secret, token_key: tokenKey, name, redirect_uris: uris, scope } = created
  await renderAdmin(
    req,
    res,
    'admin/secret',
    { title: t('admin.apps.created_title', { app: name }), section: 'apps' },
    {
      title: t('admin.apps.created_title', { app: name }),
      lead: secret === null ? t('admin.apps.created_lead_public') : t('admin.secret.once'),
      credentials: [
        { id: 'client-id', label: message('admin.apps.client_id'), value: clientId },
        ...(secret === null
          ? []
          : [{ id: 'client-secret', label: message('admin.apps.client_secret'), value: secret }]),
        ...(tokenKey === null ? [] : [tokenKeyCredential(tokenKey)]),
      ],
      lines: tokenKey === null ? [] : [t('admin.token_key.warning')],
      snippets: snippetsFor(type, {
        issuer: servicesOf(req).publicUrl,
        clientId,
        secret,
        redirectUri: uris[0] ?? null,
        scope,
      }),
      onHref: appHref(clientId),
      onLabel: t('admin.apps.on_link', { app: name }),
    },
  )
}

async function showForm(
  req: Request,
  res: Response,
  type: AppKind,
  values: FormValues,
  problems: FormProblems,
): Promise<void> {
  const { t, say } = textsOf(req)
  const kind = APP_KINDS.find((each) => each.type === type) as (typeof APP_KINDS)[number]
  const title = t('admin.apps.new_title')
  await renderAdmin(
    req,
    res,
    'admin/settings-form',
    { title, section: 'apps' },
    {
      title: say(kind.title),
      lead: say(kind.lead),
      action: '/admin/apps',
      hidden: { type },
      fields: newFieldsOf(type),
      values,
      ...problems,
      note: t('admin.apps.later_note'),
      button: t('admin.apps.create_button'),
      backHref: '/admin/apps/new',
      formId: randomUUID(),
    },
  )
}

function kindOf(value: unknown): AppKind | null {
  return APP_KINDS.find(({ type }) => type === value)?.type ?? null
}
