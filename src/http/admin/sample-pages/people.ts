import type { SamplePage } from '../../sample-page.ts'

const page = { nav: 'admin', username: 'ada', isOperator: true, admin: { section: 'people' } } as const
const groupsPage = { ...page, admin: { section: 'groups' } } as const
const FORM = { formId: 'x' }
const LONG = 'a-user-name-that-is-as-long-as-a-user-name-can-be-and-then-some'
const ARABIC = 'مريم_القحطاني'
const at = { iso: '2026-11-29T08:15:00.000Z', text: '29 Nov 2026, 08:15 UTC', ago: 'yesterday' }
const ID = '0b8d2f4e-1c6a-4d3b-9e5f-7a8b9c0d1e2f'

const person = {
  id: ID,
  username: 'grace',
  name: 'Grace Hopper',
  email: 'grace@example.com',
  email_verified: true,
  owns_email: true,
  state: 'enabled',
  erased: null,
  profile: [
    { field: 'name', value: 'Grace Hopper' },
    { field: 'street_address', value: '12 Relay Lane\nPanel F' },
  ],
  created: at,
  lastSignIn: at,
  source: null,
  locale: 'en',
  zoneinfo: 'America/New_York',
  factors: [
    { id: ID, kind: 'totp', name: 'Phone', created: at, used: at },
    { id: ID.replace('0', '1'), kind: 'passkey', name: ARABIC, created: at, used: null },
  ],
  recovery_codes_left: 8,
  assigned_roles: ['reader'],
  inherited: ['editor', 'invoices:read'],
  groups: [
    { id: '1', name: 'Staff' },
    { id: '2', name: 'موظفون' },
  ],
  appRoles: [{ clientId: 'notes', roles: ['author'] }],
  attributes: [{ name: 'cost_centre', value: '4711' }],
}

const family = {
  id: ID,
  app: 'Notes',
  isLiving: true,
  from: 'Firefox on Linux, 192.0.2.1',
  why: null,
  opened: at,
  used: at,
  ended: null,
}
const ended = {
  ...family,
  id: ID.replace('0', '2'),
  app: 'The photographs and moving pictures of the whole department',
  isLiving: false,
  why: 'it was ended by an administrator',
  ended: at,
}

const events = [
  {
    sentence: 'New browser: you signed in with your password.',
    isWarning: true,
    at,
    address: '2001:db8:1234:5678:9abc:def0:1234:5678',
    actor: null,
  },
  { sentence: 'An administrator changed your roles to: reader.', isWarning: false, at, address: null, actor: 'ada' },
]

const whole = {
  ...FORM,
  isAdmin: true,
  person,
  mayChange: true,
  mayHelp: true,
  sessions: [
    { id: ID, browser: 'Firefox on Linux', address: '192.0.2.1', created: at, seen: at, isTwoStep: true },
    {
      id: ID.replace('0', '3'),
      browser: 'Chrome on Windows',
      address: '198.51.100.7',
      created: at,
      seen: at,
      isTwoStep: false,
    },
  ],
  families: [family, ended],
  familiesHref: `/admin/people/${ID}/families`,
  events,
  eventsHref: `/admin/people/${ID}/events`,
}

const listed = {
  id: ID,
  username: 'grace',
  name: 'Grace Hopper',
  email: 'grace@example.com',
  isConfirmed: true,
  state: 'enabled',
  roles: [] as string[],
  created: at,
}
const filters = { search: '', state: '', role: '', group: '' }

const form = {
  title: 'Correct grace',
  lead: 'A new e-mail address is told to both the old and the new one.',
  lines: [],
  action: `/admin/people/${ID}/correction`,
  button: 'Save',
  backHref: `/admin/people/${ID}`,
  fields: [
    {
      name: 'username',
      label: 'User name',
      type: 'text',
      value: 'grace',
      hint: null,
      maximum: 300,
      isRequired: true,
      choices: [],
    },
    {
      name: 'email',
      label: 'E-mail address',
      type: 'email',
      value: 'grace@example.com',
      hint: null,
      maximum: 300,
      isRequired: true,
      choices: [],
    },
    {
      name: 'email_verified',
      label: 'The address is known to be theirs',
      type: 'checkbox',
      value: '',
      hint: 'Otherwise they confirm it with a link that is sent there.',
      maximum: 3,
      isRequired: false,
      choices: [],
    },
    {
      name: 'people',
      label: 'People',
      type: 'lines',
      value: 'ada\ngrace',
      hint: 'User names or e-mail addresses.',
      maximum: 2000,
      isRequired: false,
      choices: [],
    },
    {
      name: 'state',
      label: 'State',
      type: 'choice',
      value: 'b',
      hint: null,
      maximum: 9,
      isRequired: false,
      choices: [
        { value: 'a', label: 'First' },
        { value: 'b', label: 'Second' },
      ],
    },
  ],
}

/** The admin pages of people, groups and what apps have of them, in their states. */
export const PEOPLE_SAMPLES: SamplePage[] = [
  {
    view: 'admin/people/index',
    state: 'some',
    page: { title: 'People', ...page },
    locals: {
      ...FORM,
      isAdmin: true,
      mayCreate: true,
      filters,
      isFiltered: false,
      nextHref: '/admin/people?cursor=x',
      people: [
        listed,
        {
          ...listed,
          id: '2',
          username: LONG,
          name: null,
          email: `${'x'.repeat(60)}@example.com`,
          isConfirmed: false,
          roles: ['admin', 'invoices:read'],
        },
        { ...listed, id: '3', username: ARABIC, name: 'مريم القحطاني', state: 'disabled' },
      ],
    },
  },
  {
    view: 'admin/people/index',
    state: 'none',
    page: { title: 'People', ...page },
    locals: {
      ...FORM,
      isAdmin: false,
      mayCreate: false,
      filters: { ...filters, search: 'zz', state: 'disabled' },
      isFiltered: true,
      nextHref: null,
      people: [],
    },
  },
  { view: 'admin/people/show', state: 'whole', page: { title: 'grace', ...page }, locals: whole },
  {
    view: 'admin/people/show',
    state: 'an operator, for support',
    page: { title: ARABIC, ...page },
    locals: {
      ...whole,
      isAdmin: false,
      mayChange: false,
      mayHelp: false,
      person: { ...person, username: ARABIC, assigned_roles: ['admin'] },
    },
  },
  {
    view: 'admin/people/show',
    state: 'bare and deleted',
    page: { title: LONG, ...page },
    locals: {
      ...whole,
      person: {
        ...person,
        username: LONG,
        name: null,
        email: `${'x'.repeat(60)}@example.com`,
        email_verified: false,
        owns_email: false,
        state: 'deleted',
        erased: at,
        profile: [],
        lastSignIn: null,
        locale: null,
        factors: [],
        assigned_roles: [],
        inherited: [],
        groups: [],
        appRoles: [],
        attributes: [],
      },
      sessions: [],
      families: [],
      familiesHref: null,
      eventsHref: null,
    },
  },
  {
    view: 'admin/people/families',
    state: 'some',
    page: { title: 'Apps of grace', ...page },
    locals: {
      ...FORM,
      isAdmin: true,
      person,
      families: [family, ended],
      nextHref: '/admin/people/1/families?cursor=x',
    },
  },
  {
    view: 'admin/people/events',
    state: 'some',
    page: { title: 'Activity of grace', ...page },
    locals: { ...FORM, isAdmin: true, person, events, nextHref: '/admin/people/1/events?cursor=x' },
  },
  {
    view: 'admin/families/show',
    state: 'active',
    page: { title: 'Notes, used by grace', ...page },
    locals: {
      ...FORM,
      isAdmin: true,
      family,
      username: 'grace',
      identityId: ID,
      scope: 'openid profile email',
      delivery: null,
      advice: null,
      timeline: [
        {
          what: 'You signed in to Notes.',
          from: ['Firefox on Linux, 192.0.2.1'],
          isWarning: false,
          first: null,
          last: at,
        },
      ],
    },
  },
  {
    view: 'admin/families/show',
    state: 'ended by its own app',
    page: { title: 'Notes, used by grace', ...page },
    locals: {
      ...FORM,
      isAdmin: true,
      family: { ...ended, app: 'Notes' },
      username: 'grace',
      identityId: ID,
      scope: 'openid',
      delivery: 'Notes has confirmed.',
      advice: 'Store each refresh token before using it.',
      timeline: [
        { what: 'Notes refreshed.', from: ['192.0.2.1'], isWarning: false, first: at, last: at },
        { what: 'It ended.', from: [], isWarning: true, first: null, last: at },
      ],
    },
  },
  {
    view: 'admin/form',
    state: 'filled in',
    page: { title: 'Correct grace', ...page },
    locals: { ...FORM, isAdmin: true, form: { ...form, problems: [] } },
  },
  {
    view: 'admin/form',
    state: 'refused',
    page: { title: 'Correct grace', ...page },
    locals: {
      ...FORM,
      isAdmin: true,
      form: {
        ...form,
        lines: ['It is used by three apps.'],
        problems: [
          { field: 'username', problem: 'This user name is taken. Choose another one.' },
          { field: '', problem: 'there are at most 100 roles' },
        ],
      },
    },
  },
  {
    view: 'admin/groups/show',
    state: 'some members',
    page: { title: 'Staff', ...groupsPage },
    locals: {
      ...FORM,
      isAdmin: true,
      group: {
        id: '1',
        name: 'Staff',
        description: 'Everyone on the payroll',
        roles: ['reader', 'editor'],
        members: 2,
      },
      members: [
        { id: '1', username: 'grace', email: 'grace@example.com', added: at },
        { id: '2', username: LONG, email: `${'x'.repeat(60)}@example.com`, added: at },
      ],
      nextHref: '/admin/groups/1?cursor=x',
    },
  },
  {
    view: 'admin/groups/show',
    state: 'empty, for support',
    page: { title: 'موظفون', ...groupsPage },
    locals: {
      ...FORM,
      isAdmin: false,
      group: { id: '1', name: 'موظفون', description: null, roles: [], members: 0 },
      members: [],
      nextHref: null,
    },
  },
]
