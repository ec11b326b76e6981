import type { SamplePage } from '../../sample-page.ts'

const page = { nav: 'admin', username: 'ada', isOperator: true, admin: { section: 'people' } } as const
const FORM = { formId: 'x', isAdmin: true }
const LONG_EMAIL = 'maria-theresia.von-und-zu-hohenlohe-langenburg@department-of-accounts.example.com'
const EXPIRES = { iso: '2026-12-05T15:25:00.000Z', text: '5 December 2026 at 15:25 UTC' }

/** The pages of invitations and of who may register, in their states. */
export const INVITATION_SAMPLES: SamplePage[] = [
  {
    view: 'admin/invitations/index',
    state: 'some',
    page: { title: 'Invitations', ...page },
    locals: {
      ...FORM,
      search: '',
      registration: { registration: 'open', allowed_domains: ['*.example.com', 'example.com'] },
      nextHref: '/admin/people/invitations?cursor=x',
      invitations: [
        {
          href: '/admin/people/invitations/1',
          email: 'grace@example.com',
          state: 'open',
          expires: EXPIRES,
          sent_count: 1,
          invited_by: 'ada',
          roles: [],
          groups: [],
        },
        {
          href: '/admin/people/invitations/2',
          email: LONG_EMAIL,
          state: 'expired',
          expires: EXPIRES,
          sent_count: 3,
          invited_by: null,
          roles: ['editor', 'auditor', 'invoices:approve'],
          groups: [{ name: 'Staff' }, { name: 'Guests of the department of accounts' }],
        },
      ],
    },
  },
  {
    view: 'admin/invitations/index',
    state: 'none, for support',
    page: { title: 'Invitations', ...page },
    locals: {
      ...FORM,
      isAdmin: false,
      search: 'x',
      registration: { registration: 'closed', allowed_domains: [] },
      nextHref: null,
      invitations: [],
    },
  },
  {
    view: 'admin/invitations/new',
    state: 'empty',
    page: { title: 'Invite someone', ...page },
    locals: { ...FORM, values: { email: '', roles: '', groups: '' }, problem: null },
  },
  {
    view: 'admin/invitations/new',
    state: 'refused',
    page: { title: 'Invite someone', ...page },
    locals: {
      ...FORM,
      values: { email: LONG_EMAIL, roles: 'editor', groups: 'Staff' },
      problem: `${LONG_EMAIL} has an invitation already: resend or revoke that one`,
    },
  },
  {
    view: 'admin/invitations/registration',
    state: 'usual',
    page: { title: 'Registration', ...page },
    locals: { ...FORM, registration: 'open', domains: '*.example.com\nexample.com', problem: null },
  },
  {
    view: 'admin/invitations/registration',
    state: 'refused',
    page: { title: 'Registration', ...page },
    locals: {
      ...FORM,
      registration: 'invited',
      domains: 'example',
      problem: '"example" is no domain like example.com or *.example.com',
    },
  },
]
