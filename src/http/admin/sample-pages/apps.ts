import type { SamplePage } from '../../sample-page.ts'
import { APP_KINDS, APP_SECTIONS, type AppSection, fieldsOf, newFieldsOf } from '../app-fields.ts'
import { tokenKeyCredential } from '../app-acts.ts'
import { factsOf } from '../facts.ts'
import { message } from '../../../i18n/messages.ts'
import { NO_PROBLEMS } from '../refusals.ts'
import { valuesOf } from '../setting-fields.ts'
import { snippetsFor } from '../snippets.ts'

const page = (title: string, section: 'apps' | 'apis' = 'apps') =>
  ({ title, nav: 'admin', username: 'ada', isOperator: true, admin: { section } }) as const
const ADMIN = { isAdmin: true, formId: 'x' }
const SUPPORT = { isAdmin: false, formId: 'x' }
const UNTIL = new Date('2026-03-02T09:00:00Z')

const CRM = {
  client_id: 'crm',
  name: 'Customers',
  description: 'Everyone who has bought something',
  home_uri: 'https://crm.example.com/',
  colour: '#b45309',
  first_time_notice: false,
  redirect_uris: ['https://crm.example.com/auth/callback', 'https://staging.crm.example.com/auth/callback'],
  post_logout_redirect_uris: ['https://crm.example.com/'],
  backchannel_logout_uri: 'https://crm.example.com/auth/back-channel-logout',
  event_receiver_uri: null,
  access: 'assigned',
  allowed_roles: ['seller'],
  allowed_groups: ['Sales of the northern branches'],
  third_party: false,
  first_party_direct: false,
  simple_api: false,
  self_assignable_roles: [],
  apis: { 'https://contacts.example.com': ['contacts:read', 'contacts:write'] },
  exchange_for: {},
  application_token_ttl: null,
  family_lifetime: null,
  family_renewal: 'sign-in',
  family_idle: 86_400,
  family_max: null,
  rotation_grace: null,
  rotation_grace_proven: null,
  offline: false,
  scope: 'openid profile email roles offline_access',
  audience: 'https://id.example.com/apps/crm',
  id_token_alg: 'RS256',
  application_token_alg: 'ES256',
  refresh_id_token: false,
  id_token_claims: ['email'],
  application_token_claims: [],
  claims: { department: 'dept' },
  pairwise: false,
  auth_method: 'client_secret_basic',
  jwks: null,
  jwks_uri: null,
  tls_subject_dn: null,
  profile: null,
  allow_no_pkce: false,
  require_par: false,
  require_signed_request: false,
  require_dpop: false,
  certificate_bound_tokens: false,
}

const TILE = { name: 'Customers', iconUrl: null }
const KIND = APP_KINDS[0].title

const SHOWN = {
  clientId: 'crm',
  isDisabled: false,
  kind: KIND,
  hasSecret: true,
  hasTokenKey: false,
  overlap: message('admin.secret.overlap', { until: UNTIL }),
  roles: [
    { role: 'editor', href: '/admin/apps/crm/roles/editor/removal' },
    { role: 'crm:area-of-a-very-long-name', href: '/admin/apps/crm/roles/x/removal' },
  ],
  users: 1204,
  isMany: false,
  hasUsers: true,
  takesTests: true,
  hasIcon: false,
  ...TILE,
}

const sections = (Object.keys(APP_SECTIONS) as AppSection[]).map((name) => ({
  name,
  title: APP_SECTIONS[name].title,
  facts: factsOf(CRM, fieldsOf(name, 'confidential')),
  editHref: `/admin/apps/crm/settings/${name}`,
}))

const SHOW = {
  issuer: 'https://id.example.com',
  base: '/admin/apps/crm',
  roleFormLabel: message('admin.apps.role_label'),
}

const FORM = { lead: null, hidden: {}, ...NO_PROBLEMS, note: null, button: 'Save', backHref: '/admin/apps/crm' }

/** The pages of apps and APIs in their states. */
export const APP_SAMPLES: SamplePage[] = [
  {
    view: 'admin/apps/index',
    state: 'some',
    page: page('Apps'),
    locals: {
      ...ADMIN,
      search: 'c',
      state: '',
      nextHref: '/admin/apps?cursor=x',
      apps: [
        { clientId: 'crm', href: '/admin/apps/crm', isDisabled: false, kind: KIND, ...TILE },
        {
          clientId: 'com.example.a-very-long-client-id-that-does-not-break~2',
          href: '/admin/apps/x',
          isDisabled: true,
          kind: APP_KINDS[2].title,
          name: 'Customers of the northern and of the eastern branches',
          iconUrl: null,
        },
      ],
    },
  },
  {
    view: 'admin/apps/index',
    state: 'none, for support',
    page: page('Apps'),
    locals: { ...SUPPORT, search: 'x', state: 'disabled', nextHref: null, apps: [] },
  },
  {
    view: 'admin/apps/kinds',
    state: 'kinds',
    page: page('Register an app'),
    locals: { ...ADMIN, kinds: APP_KINDS.map((kind) => ({ ...kind, href: `/admin/apps/new?type=${kind.type}` })) },
  },
  {
    view: 'admin/settings-form',
    state: 'a new app that is refused',
    page: page('Register an app'),
    locals: {
      ...ADMIN,
      ...FORM,
      title: 'Web app with a server',
      lead: 'Its server keeps a secret.',
      action: '/admin/apps',
      hidden: { type: 'confidential' },
      fields: newFieldsOf('confidential'),
      values: { client_id: 'c r m', name: 'Customers', redirect_uris: 'http://crm.example.com/', access: 'everyone' },
      problems: {
        redirect_uris: 'redirect URI "http://crm.example.com/": http is only allowed on loopback; use https',
      },
      others: ['a client id has 1 to 128 letters, digits, dots, dashes, underscores or tildes'],
      note: 'Everything else has a default.',
      button: 'Register',
      backHref: '/admin/apps/new',
    },
  },
  ...(Object.keys(APP_SECTIONS) as AppSection[]).map((name): SamplePage => {
    const fields = fieldsOf(name, 'confidential')
    const title = `Customers: ${name}`
    return {
      view: 'admin/settings-form',
      state: name,
      page: page(title),
      locals: {
        ...ADMIN,
        ...FORM,
        title,
        action: `/admin/apps/crm/settings/${name}`,
        fields,
        values: valuesOf(CRM, fields),
      },
    }
  }),
  {
    view: 'admin/secret',
    state: 'a new app',
    page: page('Customers is registered'),
    locals: {
      ...ADMIN,
      title: 'Customers is registered',
      lead: 'The secret is shown on this page only.',
      credentials: [
        { id: 'client-id', label: message('admin.apps.client_id'), value: 'crm' },
        {
          id: 'client-secret',
          label: message('admin.apps.client_secret'),
          value: 'tG4-an-example-of-a-secret-that-proves-nothing',
        },
      ],
      lines: [],
      snippets: snippetsFor('confidential', {
        issuer: 'https://id.example.com',
        clientId: 'crm',
        secret: 'tG4-an-example-of-a-secret-that-proves-nothing',
        redirectUri: 'https://crm.example.com/auth/callback',
        scope: 'openid profile',
      }),
      onHref: '/admin/apps/crm',
      onLabel: 'Go to Customers',
    },
  },
  {
    view: 'admin/apps/show',
    state: 'a confidential app',
    page: page('Customers'),
    locals: { ...ADMIN, ...SHOW, app: SHOWN, sections },
  },
  {
    view: 'admin/secret',
    state: 'a key of HS256',
    page: page('New key of HS256 for Customers'),
    locals: {
      ...ADMIN,
      title: 'New key of HS256 for Customers',
      lead: 'The secret is shown on this page only.',
      credentials: [tokenKeyCredential('kEy-an-example-of-a-key-that-signs-nothing')],
      lines: ['Everything that can verify a token with the key of HS256 can also forge one.'],
      snippets: [],
      onHref: '/admin/apps/crm',
      onLabel: 'Go to Customers',
    },
  },
  {
    view: 'admin/apps/show',
    state: 'disabled, for support',
    page: page('Customers'),
    locals: {
      ...SUPPORT,
      ...SHOW,
      app: { ...SHOWN, hasTokenKey: true, isDisabled: true, overlap: null, roles: [], users: 0 },
      sections,
    },
  },
  {
    view: 'admin/apps/test',
    state: 'an answer',
    page: page('Send a test to Customers'),
    locals: {
      ...ADMIN,
      title: 'Send a test to Customers',
      action: '/admin/apps/crm/test',
      backHref: '/admin/apps/crm',
      settingsHref: '/admin/apps/crm/settings/addresses',
      tests: [
        { kind: 'logout', uri: CRM.backchannel_logout_uri, label: message('admin.apps.test_logout_button') },
        { kind: 'event', uri: 'https://crm.example.com/events', label: message('admin.apps.test_event_button') },
      ],
      answer: {
        outcome: 'refused',
        status: 400,
        problem: 'answered 400 Bad Request',
        milliseconds: 1204,
        uri: CRM.backchannel_logout_uri,
      },
    },
  },
  {
    view: 'admin/apps/test',
    state: 'nothing to test',
    page: page('Send a test to Customers'),
    locals: {
      ...ADMIN,
      title: 'Send a test to Customers',
      action: '/admin/apps/crm/test',
      backHref: '/admin/apps/crm',
      settingsHref: '/admin/apps/crm/settings/addresses',
      tests: [],
      answer: null,
    },
  },
  {
    view: 'admin/apis/index',
    state: 'some',
    page: page('APIs', 'apis'),
    locals: {
      ...ADMIN,
      search: '',
      nextHref: null,
      apis: [
        {
          name: 'Contacts',
          identifier: 'https://contacts.example.com',
          href: '/admin/apis/api.0123456789abcdef0123',
          scopes: ['contacts:read', 'contacts:write'],
        },
      ],
    },
  },
  {
    view: 'admin/apis/index',
    state: 'none',
    page: page('APIs', 'apis'),
    locals: { ...SUPPORT, search: 'x', nextHref: null, apis: [] },
  },
  {
    view: 'admin/apis/show',
    state: 'an API',
    page: page('Contacts', 'apis'),
    locals: {
      ...ADMIN,
      api: {
        name: 'Contacts',
        identifier: 'https://contacts.example.com',
        clientId: 'api.0123456789abcdef0123',
        hasSecret: true,
        overlap: null,
      },
      apps: [{ href: '/admin/apps/crm', name: 'Customers', way: 'request', scopes: ['contacts:read'] }],
      facts: factsOf(CRM, fieldsOf('look', 'service')),
      base: '/admin/apis/api.0123456789abcdef0123',
    },
  },
]
