import type { SamplePage } from '../sample-page.ts'
import { PEOPLE_SAMPLES } from './sample-pages/people.ts'
import { INVITATION_SAMPLES } from './sample-pages/invitations.ts'
import { OPERATING_SAMPLES } from './sample-pages/operating.ts'
import { APP_SAMPLES } from './sample-pages/apps.ts'
import { IDENTITY_PROVIDER_SAMPLES } from './sample-pages/identity-providers.ts'

const page = { nav: 'admin', username: 'ada', isOperator: true } as const
const FORM = { formId: 'x' }

/** The admin pages in their states. */
export const ADMIN_SAMPLES: SamplePage[] = [
  ...OPERATING_SAMPLES,
  ...IDENTITY_PROVIDER_SAMPLES,
  {
    view: 'admin/question',
    state: 'a group',
    page: { title: 'Delete the group Staff', ...page, admin: { section: 'groups' } },
    locals: {
      ...FORM,
      isAdmin: true,
      title: 'Delete the group Staff',
      lines: ['Its 12 members lose its roles.'],
      action: '/admin/groups/1/deletion',
      button: 'Delete',
      isDangerous: true,
      fields: {},
      backHref: '/admin/groups',
    },
  },
  {
    view: 'admin/groups/index',
    state: 'some',
    page: { title: 'Groups', ...page, admin: { section: 'groups' } },
    locals: {
      ...FORM,
      isAdmin: true,
      search: '',
      nextHref: '/admin/groups?cursor=x',
      groups: [
        { id: '1', name: 'Staff', description: 'Everyone on the payroll', roles: ['reader', 'editor'] },
        {
          id: '2',
          name: 'Guests of the department of accounts and of the northern branches',
          description: null,
          roles: [],
        },
      ],
    },
  },
  {
    view: 'admin/groups/index',
    state: 'none',
    page: { title: 'Groups', ...page, admin: { section: 'groups' } },
    locals: { ...FORM, isAdmin: false, search: 'x', nextHref: null, groups: [] },
  },
  ...PEOPLE_SAMPLES,
  ...INVITATION_SAMPLES,
  ...APP_SAMPLES,
]
