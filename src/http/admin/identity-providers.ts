import { randomUUID } from 'node:crypto'
import type { Request, Response } from 'express'
import type { AnswerOf } from '../../administration/operation.ts'
import { OPERATIONS } from '../../administration/operations.ts'
import { message } from '../../i18n/messages.ts'
import { textsOf } from '../context.ts'
import { redirectWith } from '../flash-messages.ts'
import { act } from './act.ts'
import { ask, renderAdmin } from './admin-page.ts'
import { factsOf } from './facts.ts'
import { type FormProblems, NO_PROBLEMS, problemsOf } from './refusals.ts'
import { type FormValues, sentValues, type SettingField, settingsIn, valuesOf } from './setting-fields.ts'

type ProviderRequest = Request<{ provider: string }>
type Provider = AnswerOf<typeof OPERATIONS.showIdentityProvider>

const SECTION = 'identity-providers'

/** What a new provider has, and no other form. An empty text leaves to the preset, or to the usual, what is not given. */
const ONCE: SettingField[] = [
  {
    name: 'preset',
    kind: 'choice',
    label: message('admin.provider_fields.preset'),
    choices: [
      { value: '', label: message('admin.provider_fields.preset_none') },
      { value: 'google', label: message('admin.provider_fields.preset_google') },
      { value: 'entra', label: message('admin.provider_fields.preset_entra') },
      { value: 'github', label: message('admin.provider_fields.preset_github') },
    ],
  },
  {
    name: 'id',
    kind: 'text',
    label: message('admin.provider_fields.id'),
    hint: message('admin.provider_fields.id_hint'),
  },
  {
    name: 'tenant',
    kind: 'text',
    label: message('admin.provider_fields.tenant'),
    hint: message('admin.provider_fields.tenant_hint'),
  },
]

const SECRET: SettingField = {
  name: 'client_secret',
  kind: 'secret',
  label: message('admin.provider_fields.client_secret'),
  hint: message('admin.provider_fields.client_secret_hint'),
}

export const PROVIDER_SETTINGS: SettingField[] = [
  {
    name: 'name',
    kind: 'text',
    label: message('admin.provider_fields.name'),
    hint: message('admin.provider_fields.name_hint'),
  },
  {
    name: 'issuer',
    kind: 'text',
    label: message('admin.provider_fields.issuer'),
    hint: message('admin.provider_fields.issuer_hint'),
  },
  {
    name: 'client_id',
    kind: 'text',
    label: message('admin.provider_fields.client_id'),
    hint: message('admin.provider_fields.client_id_hint'),
  },
  {
    name: 'scopes',
    kind: 'lines',
    label: message('admin.provider_fields.scopes'),
    hint: message('admin.provider_fields.scopes_hint'),
  },
  {
    name: 'domains',
    kind: 'lines',
    label: message('admin.provider_fields.domains'),
    hint: message('admin.provider_fields.domains_hint'),
  },
  {
    name: 'registration',
    kind: 'choice',
    label: message('admin.provider_fields.registration'),
    choices: [
      { value: 'never', label: message('admin.provider_fields.registration_never') },
      { value: 'open', label: message('admin.provider_fields.registration_open') },
    ],
  },
  {
    name: 'keeps_tokens',
    kind: 'check',
    label: message('admin.provider_fields.keep_tokens'),
    hint: message('admin.provider_fields.keep_tokens_hint'),
  },
]

export const NEW_PROVIDER_SETTINGS = [...ONCE, ...PROVIDER_SETTINGS.slice(0, 3), SECRET, ...PROVIDER_SETTINGS.slice(3)]

/** GET /admin/identity-providers */
export async function listProviders(req: Request, res: Response): Promise<void> {
  const { items } = await act(req, OPERATIONS.listIdentityProviders)
  const title = textsOf(req).t('admin.providers.title')
  const providers = items.map((each) => ({ ...each, href: hrefOf(each) }))
  await renderAdmin(req, res, 'admin/identity-providers/index', { title, section: SECTION }, { providers })
}

/** GET /admin/identity-providers/:provider */
export async function showProvider(req: ProviderRequest, res: Response): Promise<void> {
  await show(req, res, await providerOf(req), null)
}

/** GET /admin/identity-providers/:provider/check */
export async function checkProvider(req: ProviderRequest, res: Response): Promise<void> {
  const input = { provider: req.params.provider }
  const checked = await act(req, OPERATIONS.checkIdentityProvider, input)
  if (checked.problem !== null) return show(req, res, checked, checked.problem)
  redirectWith(req, res, 'provider-answers', hrefOf(checked), { values: { provider: checked.name } })
}

/** GET /admin/identity-providers/new */
export async function newProvider(req: Request, res: Response): Promise<void> {
  await showForm(req, res, null, NEW_PROVIDER_SETTINGS, { preset: '', registration: 'never' }, NO_PROBLEMS)
}

/** POST /admin/identity-providers */
export async function createProvider(req: Request, res: Response): Promise<void> {
  const values = sentValues(req.body, NEW_PROVIDER_SETTINGS)
  const given = Object.entries(settingsIn(values, NEW_PROVIDER_SETTINGS)).filter(([, value]) => !isEmpty(value))
  let created
  try {
    created = await act(req, OPERATIONS.createIdentityProvider, Object.fromEntries(given))
  } catch (error) {
    return showForm(req, res.status(422), null, NEW_PROVIDER_SETTINGS, values, problemsOf(error, NEW_PROVIDER_SETTINGS))
  }
  const flash = created.warning === null ? 'provider-registered' : 'provider-registered-unreachable'
  redirectWith(req, res, flash, hrefOf(created), { values: { provider: created.name } })
}

/** GET /admin/identity-providers/:provider/settings */
export async function editProvider(req: ProviderRequest, res: Response): Promise<void> {
  const provider = await providerOf(req)
  await showForm(req, res, provider, PROVIDER_SETTINGS, valuesOf(provider, PROVIDER_SETTINGS), NO_PROBLEMS)
}

/** POST /admin/identity-providers/:provider/settings */
export async function updateProvider(req: ProviderRequest, res: Response): Promise<void> {
  const provider = await providerOf(req)
  const values = sentValues(req.body, PROVIDER_SETTINGS)
  let changed
  try {
    const input = { provider: provider.id, ...settingsIn(values, PROVIDER_SETTINGS) }
    changed = await act(req, OPERATIONS.updateIdentityProvider, input)
  } catch (error) {
    return showForm(req, res.status(422), provider, PROVIDER_SETTINGS, values, problemsOf(error, PROVIDER_SETTINGS))
  }
  redirectWith(req, res, 'provider-changed', hrefOf(provider), { values: { provider: changed.name } })
}

/** GET /admin/identity-providers/:provider/secret */
export async function newProviderSecret(req: ProviderRequest, res: Response): Promise<void> {
  await showForm(req, res, await providerOf(req), [SECRET], {}, NO_PROBLEMS, '/secret')
}

/** POST /admin/identity-providers/:provider/secret */
export async function createProviderSecret(req: ProviderRequest, res: Response): Promise<void> {
  const provider = await providerOf(req)
  const { client_secret: secret } = settingsIn(sentValues(req.body, [SECRET]), [SECRET])
  try {
    const input = { provider: provider.id, client_secret: isEmpty(secret) ? null : secret }
    await act(req, OPERATIONS.updateIdentityProvider, input)
  } catch (error) {
    return showForm(req, res.status(422), provider, [SECRET], {}, problemsOf(error, [SECRET]), '/secret')
  }
  redirectWith(req, res, 'provider-changed', hrefOf(provider), { values: { provider: provider.name } })
}

/** GET /admin/identity-providers/:provider/disabling */
export async function newProviderDisabling(req: ProviderRequest, res: Response): Promise<void> {
  const { t } = textsOf(req)
  const provider = await providerOf(req)
  await ask(req, res, SECTION, {
    title: t('admin.providers.disable_title', { provider: provider.name }),
    lines: [t('admin.providers.disable_lead')],
    action: hrefOf(provider, '/disabling'),
    button: t('admin.providers.disable_button'),
    backHref: hrefOf(provider),
  })
}

/** POST /admin/identity-providers/:provider/disabling */
export async function createProviderDisabling(req: ProviderRequest, res: Response): Promise<void> {
  const provider = await providerOf(req)
  await act(req, OPERATIONS.disableIdentityProvider, { provider: provider.id })
  redirectWith(req, res, 'provider-disabled', hrefOf(provider), { values: { provider: provider.name } })
}

/** POST /admin/identity-providers/:provider/enabling */
export async function createProviderEnabling(req: ProviderRequest, res: Response): Promise<void> {
  const provider = await providerOf(req)
  await act(req, OPERATIONS.enableIdentityProvider, { provider: provider.id })
  redirectWith(req, res, 'provider-enabled', hrefOf(provider), { values: { provider: provider.name } })
}

/** GET /admin/identity-providers/:provider/deletion */
export async function newProviderDeletion(req: ProviderRequest, res: Response): Promise<void> {
  const { t } = textsOf(req)
  const provider = await providerOf(req)
  await ask(req, res, SECTION, {
    title: t('admin.providers.delete_title', { provider: provider.name }),
    lines: [t('admin.providers.delete_lead', { count: provider.linked_accounts })],
    action: hrefOf(provider, '/deletion'),
    button: t('admin.providers.delete_button'),
    backHref: hrefOf(provider),
  })
}

/** POST /admin/identity-providers/:provider/deletion */
export async function createProviderDeletion(req: ProviderRequest, res: Response): Promise<void> {
  const provider = await providerOf(req)
  await act(req, OPERATIONS.deleteIdentityProvider, { provider: provider.id, unlink: 'true' })
  redirectWith(req, res, 'provider-deleted', '/admin/identity-providers', { values: { provider: provider.name } })
}

function isEmpty(value: unknown): boolean {
  return value === null || value === '' || (Array.isArray(value) && value.length === 0)
}

async function providerOf(req: ProviderRequest): Promise<Provider> {
  return act(req, OPERATIONS.showIdentityProvider, { provider: req.params.provider })
}

function hrefOf({ id }: Pick<Provider, 'id'>, page = ''): string {
  return `/admin/identity-providers/${id}${page}`
}

async function show(req: Request, res: Response, provider: Omit<Provider, 'linked_accounts'>, problem: string | null) {
  await renderAdmin(
    req,
    res,
    'admin/identity-providers/show',
    { title: provider.name, section: SECTION },
    { provider, problem, facts: factsOf(provider, PROVIDER_SETTINGS), base: hrefOf(provider) },
  )
}

async function showForm(
  req: Request,
  res: Response,
  provider: Provider | null,
  fields: SettingField[],
  values: FormValues,
  problems: FormProblems,
  page = '/settings',
): Promise<void> {
  const { t } = textsOf(req)
  const title =
    provider === null ? t('admin.providers.new_title') : t('admin.providers.edit_title', { provider: provider.name })
  await renderAdmin(
    req,
    res,
    'admin/settings-form',
    { title, section: SECTION },
    {
      title,
      lead: provider === null ? t('admin.providers.new_lead') : null,
      action: provider === null ? '/admin/identity-providers' : hrefOf(provider, page),
      hidden: {},
      fields,
      values,
      ...problems,
      note: null,
      button: provider === null ? t('admin.providers.create_button') : t('admin.save_button'),
      backHref: provider === null ? '/admin/identity-providers' : hrefOf(provider),
      formId: randomUUID(),
    },
  )
}
