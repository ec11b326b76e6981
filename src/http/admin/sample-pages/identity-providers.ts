import type { SamplePage } from '../../sample-page.ts'
import { factsOf } from '../facts.ts'
import { NEW_PROVIDER_SETTINGS, PROVIDER_SETTINGS } from '../identity-providers.ts'

const LONG = 'The staff directory of the northern and southern branches'
const page = (title: string) =>
  ({ title, nav: 'admin', username: 'ada', isOperator: true, admin: { section: 'identity-providers' } }) as const

const ENTRA = {
  id: 'entra',
  kind: 'oidc',
  name: LONG,
  issuer: 'https://login.microsoftonline.com/8eaef023-2b34-4da1-9baa-8bc8c9d6a490/v2.0',
  client_id: '31359c7f-bd7e-475c-86db-fdb8c937548e',
  scopes: ['openid', 'profile', 'email'],
  domains: ['example.com', 'northern-branches-of-the-example-company.example'],
  registration: 'open',
  keeps_tokens: false,
  has_secret: true,
  redirect_uri: 'https://id.example.com/login/with/entra/callback',
  backchannel_logout_uri: 'https://id.example.com/login/with/entra/backchannel-logout',
  state: 'enabled',
}
const GITHUB = {
  ...ENTRA,
  id: 'github',
  kind: 'github',
  name: 'GitHub',
  issuer: 'https://github.com',
  domains: [],
  has_secret: false,
  state: 'disabled',
}
const shown = (provider: typeof ENTRA | typeof GITHUB) => ({
  provider,
  problem: null,
  facts: factsOf(provider, PROVIDER_SETTINGS),
  base: `/admin/identity-providers/${provider.id}`,
  formId: 'x',
})

/** The registry of identity providers, in its states. */
export const IDENTITY_PROVIDER_SAMPLES: SamplePage[] = [
  {
    view: 'admin/identity-providers/index',
    state: 'some',
    page: page('Identity providers'),
    locals: {
      isAdmin: true,
      providers: [ENTRA, GITHUB].map((each) => ({ ...each, href: `/admin/identity-providers/${each.id}` })),
    },
  },
  {
    view: 'admin/identity-providers/index',
    state: 'none, for support',
    page: page('Identity providers'),
    locals: { isAdmin: false, providers: [] },
  },
  {
    view: 'admin/identity-providers/show',
    state: 'OpenID Connect',
    page: page(LONG),
    locals: { isAdmin: true, ...shown(ENTRA) },
  },
  {
    view: 'admin/identity-providers/show',
    state: 'does not answer',
    page: page(LONG),
    locals: { isAdmin: true, ...shown(ENTRA), problem: 'its discovery document names another issuer' },
  },
  {
    view: 'admin/identity-providers/show',
    state: 'disabled',
    page: page('GitHub'),
    locals: { isAdmin: true, ...shown(GITHUB) },
  },
  {
    view: 'admin/settings-form',
    state: 'a new provider, with everything to correct',
    page: page('Register a provider'),
    locals: {
      isAdmin: true,
      formId: 'x',
      title: 'Register a provider',
      lead: 'Register the portal at the provider first.',
      action: '/admin/identity-providers',
      hidden: {},
      fields: NEW_PROVIDER_SETTINGS,
      values: { preset: '', id: 'Entra', issuer: 'http://x', registration: 'never' },
      problems: Object.fromEntries(NEW_PROVIDER_SETTINGS.map(({ name }) => [name, 'is not allowed'])),
      others: ['the id of a provider is up to 40 small letters, digits and hyphens, such as google'],
      note: null,
      button: 'Register',
      backHref: '/admin/identity-providers',
    },
  },
]
