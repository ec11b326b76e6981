import { randomUUID } from 'node:crypto'
import type { Request, Response } from 'express'
import { OPERATIONS } from '../../administration/operations.ts'
import { message } from '../../i18n/messages.ts'
import { textsOf } from '../context.ts'
import { redirectWith } from '../flash-messages.ts'
import { act } from './act.ts'
import { ask, renderAdmin } from './admin-page.ts'
import { appHref } from './app-page.ts'
import { factsOf } from './facts.ts'
import { type FormProblems, NO_PROBLEMS, problemsOf } from './refusals.ts'
import { type FormValues, sentValues, type SettingField, settingsIn, valuesOf } from './setting-fields.ts'

/** An API is named by its client id: its identifier has slashes. */
type ApiRequest = Request<{ api: string }>

const IDENTIFIER: SettingField = {
  name: 'identifier',
  kind: 'text',
  label: message('admin.api_fields.identifier'),
  hint: message('admin.api_fields.identifier_hint'),
}

const SIMPLE: SettingField[] = [
  { name: 'name', kind: 'text', label: message('admin.app_fields.name'), hint: message('admin.api_fields.name_hint') },
  {
    name: 'scopes',
    kind: 'lines',
    label: message('admin.api_fields.scopes'),
    hint: message('admin.api_fields.scopes_hint'),
  },
  {
    name: 'token_ttl',
    kind: 'number',
    label: message('admin.app_fields.application_token_ttl'),
    hint: message('admin.api_fields.token_ttl_hint'),
  },
]

const ALL: SettingField[] = [
  ...SIMPLE,
  {
    name: 'signing_alg',
    kind: 'choice',
    label: message('admin.api_fields.signing_alg'),
    choices: [
      { value: 'ES256', label: message('admin.app_fields.alg_es256') },
      { value: 'RS256', label: message('admin.app_fields.alg_rs256') },
      { value: 'EdDSA', label: message('admin.app_fields.alg_eddsa') },
    ],
  },
  {
    name: 'auth_method',
    kind: 'choice',
    label: message('admin.app_fields.auth_method'),
    choices: [
      { value: 'client_secret_basic', label: message('admin.app_fields.auth_secret') },
      { value: 'private_key_jwt', label: message('admin.app_fields.auth_keys') },
    ],
  },
  { name: 'jwks', kind: 'keys', label: message('admin.app_fields.jwks'), hint: message('admin.app_fields.jwks_hint') },
  {
    name: 'jwks_uri',
    kind: 'text',
    isOptional: true,
    label: message('admin.app_fields.jwks_uri'),
    hint: message('admin.app_fields.jwks_uri_hint'),
  },
]

const NEW = [IDENTIFIER, ...SIMPLE]

/** GET /admin/apis */
export async function listApis(req: Request, res: Response): Promise<void> {
  const { search = '', cursor } = req.query as { search?: string; cursor?: string }
  const page = await act(req, OPERATIONS.listApis, {
    ...(search === '' ? {} : { search }),
    ...(cursor === undefined ? {} : { cursor }),
  })
  const nextHref = page.next_cursor && `/admin/apis?${new URLSearchParams({ search, cursor: page.next_cursor })}`
  const apis = page.items.map((api) => ({ ...api, href: hrefOf(api) }))
  const title = textsOf(req).t('admin.apis.title')
  await renderAdmin(req, res, 'admin/apis/index', { title, section: 'apis' }, { apis, search, nextHref })
}

/** GET /admin/apis/:api */
export async function showApi(req: ApiRequest, res: Response): Promise<void> {
  const api = await apiOf(req)
  const until = api.previous_secret_until
  await renderAdmin(
    req,
    res,
    'admin/apis/show',
    { title: api.name, section: 'apis' },
    {
      api: {
        name: api.name,
        identifier: api.identifier,
        clientId: api.client_id,
        hasSecret: api.has_secret,
        overlap: until === null ? null : message('admin.secret.overlap', { until: new Date(until) }),
      },
      apps: api.apps.map((app) => ({ ...app, href: appHref(app.client_id) })),
      facts: factsOf(api, ALL),
      base: hrefOf(api),
    },
  )
}

/** GET /admin/apis/new */
export async function newApi(req: Request, res: Response): Promise<void> {
  await showForm(req, res, null, NEW, {}, NO_PROBLEMS)
}

/** POST /admin/apis */
export async function createApi(req: Request, res: Response): Promise<void> {
  const values = sentValues(req.body, NEW)
  let created
  try {
    created = await act(req, OPERATIONS.createApi, settingsIn(values, NEW))
  } catch (error) {
    return showForm(req, res.status(422), null, NEW, values, problemsOf(error, NEW))
  }
  const title = textsOf(req).t('admin.apis.created_title', { api: created.name })
  await showSecret(req, res, title, { ...created, secret: created.client_secret ?? '' }, [])
}

/** GET /admin/apis/:api/settings */
export async function editApi(req: ApiRequest, res: Response): Promise<void> {
  const api = await apiOf(req)
  await showForm(req, res, api, ALL, valuesOf(api, ALL), NO_PROBLEMS)
}

/** POST /admin/apis/:api/settings */
export async function updateApi(req: ApiRequest, res: Response): Promise<void> {
  const api = await apiOf(req)
  const values = sentValues(req.body, ALL)
  try {
    await act(req, OPERATIONS.updateApi, { api: api.client_id, ...settingsIn(values, ALL) })
  } catch (error) {
    return showForm(req, res.status(422), api, ALL, values, problemsOf(error, ALL))
  }
  redirectWith(req, res, 'api-changed', hrefOf(api), { values: { api: api.name } })
}

/** GET /admin/apis/:api/secret */
export async function newApiSecret(req: ApiRequest, res: Response): Promise<void> {
  const { t } = textsOf(req)
  const api = await apiOf(req)
  const isSecond = api.previous_secret_until !== null
  await ask(req, res, 'apis', {
    title: t('admin.apps.rotate_title', { app: api.name }),
    lines: [t('admin.secret.rotate_lead'), ...(isSecond ? [t('admin.secret.rotate_twice')] : [])],
    action: hrefOf(api, '/secret'),
    button: t('admin.secret.rotate_button'),
    isDangerous: isSecond,
    backHref: hrefOf(api),
  })
}

/** POST /admin/apis/:api/secret: the page that shows the new secret, once. */
export async function createApiSecret(req: ApiRequest, res: Response): Promise<void> {
  const { t } = textsOf(req)
  const api = await apiOf(req)
  const made = await act(req, OPERATIONS.rotateApiSecret, { api: api.client_id })
  const until = made.previous_secret_until
  const lines = until === null ? [] : [t('admin.secret.overlap', { until: new Date(until) })]
  const title = t('admin.apps.rotated_title', { app: api.name })
  await showSecret(req, res, title, { ...api, secret: made.client_secret }, lines)
}

/** GET /admin/apis/:api/previous-secret */
export async function newPreviousApiSecretEnd(req: ApiRequest, res: Response): Promise<void> {
  const { t } = textsOf(req)
  const api = await apiOf(req)
  await ask(req, res, 'apis', {
    title: t('admin.apps.end_previous_title', { app: api.name }),
    lines: [t('admin.secret.end_previous_lead')],
    action: hrefOf(api, '/previous-secret'),
    button: t('admin.secret.end_previous_button'),
    backHref: hrefOf(api),
  })
}

/** POST /admin/apis/:api/previous-secret */
export async function createPreviousApiSecretEnd(req: ApiRequest, res: Response): Promise<void> {
  const api = await apiOf(req)
  await act(req, OPERATIONS.endPreviousApiSecret, { api: api.client_id })
  redirectWith(req, res, 'app-previous-secret-ended', hrefOf(api), { values: { app: api.name } })
}

/** GET /admin/apis/:api/deletion */
export async function newApiDeletion(req: ApiRequest, res: Response): Promise<void> {
  const { t } = textsOf(req)
  const api = await apiOf(req)
  await ask(req, res, 'apis', {
    title: t('admin.apis.delete_title', { api: api.name }),
    lines: [t('admin.apis.delete_lead', { count: new Set(api.apps.map((app) => app.client_id)).size })],
    action: hrefOf(api, '/deletion'),
    button: t('admin.apis.delete_button'),
    backHref: hrefOf(api),
  })
}

/** POST /admin/apis/:api/deletion */
export async function createApiDeletion(req: ApiRequest, res: Response): Promise<void> {
  const api = await apiOf(req)
  await act(req, OPERATIONS.deleteApi, { api: api.client_id })
  redirectWith(req, res, 'api-deleted', '/admin/apis', { values: { api: api.name } })
}

async function apiOf(req: ApiRequest) {
  return act(req, OPERATIONS.showApi, { api: req.params.api })
}

function hrefOf({ client_id: id }: { client_id: string }, page = ''): string {
  return `/admin/apis/${id}${page}`
}

async function showSecret(
  req: Request,
  res: Response,
  title: string,
  api: { client_id: string; name: string; secret: string },
  lines: string[],
): Promise<void> {
  const { t } = textsOf(req)
  await renderAdmin(
    req,
    res,
    'admin/secret',
    { title, section: 'apis' },
    {
      title,
      lead: t('admin.secret.once'),
      credentials: [
        { id: 'client-id', label: message('admin.apps.client_id'), value: api.client_id },
        { id: 'client-secret', label: message('admin.apps.client_secret'), value: api.secret },
      ],
      lines,
      snippets: [],
      onHref: hrefOf(api),
      onLabel: t('admin.apps.on_link', { app: api.name }),
    },
  )
}

async function showForm(
  req: Request,
  res: Response,
  api: { client_id: string; name: string } | null,
  fields: SettingField[],
  values: FormValues,
  problems: FormProblems,
): Promise<void> {
  const { t } = textsOf(req)
  const title = api === null ? t('admin.apis.new_title') : t('admin.apis.edit_title', { api: api.name })
  await renderAdmin(
    req,
    res,
    'admin/settings-form',
    { title, section: 'apis' },
    {
      title,
      lead: api === null ? t('admin.apis.new_lead') : null,
      action: api === null ? '/admin/apis' : hrefOf(api, '/settings'),
      hidden: {},
      fields,
      values,
      ...problems,
      note: null,
      button: api === null ? t('admin.apps.create_button') : t('admin.save_button'),
      backHref: api === null ? '/admin/apis' : hrefOf(api),
      formId: randomUUID(),
    },
  )
}
