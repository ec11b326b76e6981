import type { Request, Response } from 'express'
import type { AnswerOf } from '../../administration/operation.ts'
import { OPERATIONS } from '../../administration/operations.ts'
import { textsOf } from '../context.ts'
import { redirectWith } from '../flash-messages.ts'
import { optionalField, textField } from '../form-fields.ts'
import { act } from './act.ts'
import { ask, renderAdmin } from './admin-page.ts'
import { type Form, namesIn, showForm, submitForm } from './form.ts'
import { cursorIn, nextOf, timeOf } from './people.ts'

type GroupRequest = Request<{ group: string }>
type Group = AnswerOf<typeof OPERATIONS.showGroup>
type Member = AnswerOf<typeof OPERATIONS.listGroupMembers>['items'][number]

/** GET /admin/groups */
export async function listGroups(req: Request, res: Response): Promise<void> {
  const search = optionalField(req.query, 'search', 100) ?? ''
  const page = await act(req, OPERATIONS.listGroups, { ...(search === '' ? {} : { search }), ...cursorIn(req) })
  const nextHref = page.next_cursor && `/admin/groups?${new URLSearchParams({ search, cursor: page.next_cursor })}`
  await renderAdmin(
    req,
    res,
    'admin/groups/index',
    { title: textsOf(req).t('admin.groups.title'), section: 'groups' },
    { groups: page.items, search, nextHref },
  )
}

/** GET /admin/groups/new */
export async function newGroup(req: Request, res: Response): Promise<void> {
  await showForm(req, res, 'groups', groupForm(req, null))
}

/** POST /admin/groups/new */
export async function createGroup(req: Request, res: Response): Promise<void> {
  const done = await submitForm(req, res, 'groups', groupForm(req, null), async () =>
    act(req, OPERATIONS.createGroup, settingsIn(req)),
  )
  if (done === null) return
  const { id, name } = done.answer
  redirectWith(req, res, 'group-created', `/admin/groups/${id}`, { values: { group: name } })
}

/** GET /admin/groups/:group */
export async function showGroup(req: GroupRequest, res: Response): Promise<void> {
  const group = await act(req, OPERATIONS.showGroup, req.params)
  const members = await act(req, OPERATIONS.listGroupMembers, { group: group.id, ...cursorIn(req) })
  await renderAdmin(
    req,
    res,
    'admin/groups/show',
    { title: group.name, section: 'groups' },
    {
      group,
      members: members.items.map(({ identity_id: id, username, email, added_at: at }: Member) => ({
        id,
        username,
        email,
        added: timeOf(req, at),
      })),
      nextHref: nextOf(`/admin/groups/${group.id}`, members.next_cursor),
    },
  )
}

/** GET /admin/groups/:group/edit */
export async function editGroup(req: GroupRequest, res: Response): Promise<void> {
  await showForm(req, res, 'groups', groupForm(req, await act(req, OPERATIONS.showGroup, req.params)))
}

/** POST /admin/groups/:group/edit */
export async function updateGroup(req: GroupRequest, res: Response): Promise<void> {
  const group = await act(req, OPERATIONS.showGroup, req.params)
  const done = await submitForm(req, res, 'groups', groupForm(req, group), async () =>
    act(req, OPERATIONS.updateGroup, { group: group.id, ...settingsIn(req) }),
  )
  if (done === null) return
  redirectWith(req, res, 'group-changed', `/admin/groups/${group.id}`, { values: { group: done.answer.name } })
}

function settingsIn(req: Request) {
  const description = textField(req.body, 'description', 500).trim()
  return {
    name: textField(req.body, 'name', 200),
    description: description === '' ? null : description,
    roles: namesIn(textField(req.body, 'roles', 7000)),
  }
}

function groupForm(req: Request, group: Group | null): Form {
  const { t } = textsOf(req)
  const path = group === null ? '/admin/groups' : `/admin/groups/${group.id}`
  return {
    title: group === null ? t('admin.groups.new_title') : t('admin.groups.edit_title', { group: group.name }),
    lead: t('admin.groups.form_lead'),
    fields: [
      { name: 'name', label: t('admin.groups.name_label'), value: group?.name ?? '', maximum: 100, isRequired: true },
      {
        name: 'description',
        label: t('admin.groups.description_label'),
        value: group?.description ?? '',
        maximum: 500,
      },
      {
        name: 'roles',
        label: t('admin.groups.roles_label'),
        hint: t('admin.people.roles_hint'),
        value: group?.roles.join(' ') ?? '',
        maximum: 7000,
      },
    ],
    action: group === null ? '/admin/groups/new' : `${path}/edit`,
    button: group === null ? t('admin.groups.create_button') : t('admin.save_button'),
    backHref: path,
  }
}

/** GET /admin/groups/:group/members */
export async function newMembers(req: GroupRequest, res: Response): Promise<void> {
  await showForm(req, res, 'groups', membersForm(req, await act(req, OPERATIONS.showGroup, req.params)))
}

/** POST /admin/groups/:group/members */
export async function createMembers(req: GroupRequest, res: Response): Promise<void> {
  const group = await act(req, OPERATIONS.showGroup, req.params)
  const typed = (req.body as Record<string, unknown> | undefined)?.['people']
  const lines = typeof typed === 'string' ? typed.split(/\r\n|\r|\n/) : []
  const identities = namesIn(lines.map((line) => textField({ people: line }, 'people', 1000)).join('\n'))
  const done = await submitForm(req, res, 'groups', membersForm(req, group), async () =>
    act(req, OPERATIONS.addGroupMembers, { group: group.id, identities }),
  )
  if (done === null) return
  const values = { group: group.name, count: done.answer.added }
  redirectWith(req, res, 'group-members-added', `/admin/groups/${group.id}`, { values })
}

function membersForm(req: Request, { id, name }: Group): Form {
  const { t } = textsOf(req)
  return {
    title: t('admin.groups.add_title', { group: name }),
    lead: t('admin.groups.add_lead'),
    fields: [
      {
        name: 'people',
        label: t('admin.groups.people_label'),
        hint: t('admin.groups.people_hint'),
        type: 'lines',
        maximum: 20_000,
      },
    ],
    action: `/admin/groups/${id}/members`,
    button: t('admin.groups.add_button'),
    backHref: `/admin/groups/${id}`,
  }
}

type MemberRequest = Request<{ group: string; identity: string }>

/** GET /admin/groups/:group/members/:identity/removal */
export async function newMemberRemoval(req: MemberRequest, res: Response): Promise<void> {
  const { t } = textsOf(req)
  const group = await act(req, OPERATIONS.showGroup, { group: req.params.group })
  const { id, username } = await act(req, OPERATIONS.showIdentity, { identity: req.params.identity })
  await ask(req, res, 'groups', {
    title: t('admin.groups.remove_title', { username, group: group.name }),
    lines: [t('admin.groups.remove_lead', { username })],
    action: `/admin/groups/${group.id}/members/${id}/removal`,
    button: t('admin.groups.remove_button'),
    backHref: `/admin/groups/${group.id}`,
  })
}

/** POST /admin/groups/:group/members/:identity/removal */
export async function createMemberRemoval(req: MemberRequest, res: Response): Promise<void> {
  const { name, id } = await act(req, OPERATIONS.showGroup, { group: req.params.group })
  const { username } = await act(req, OPERATIONS.showIdentity, { identity: req.params.identity })
  await act(req, OPERATIONS.removeGroupMember, req.params)
  redirectWith(req, res, 'group-member-removed', `/admin/groups/${id}`, { values: { group: name, username } })
}

/** GET /admin/groups/:group/deletion */
export async function newGroupDeletion(req: GroupRequest, res: Response): Promise<void> {
  const { t } = textsOf(req)
  const group = await act(req, OPERATIONS.showGroup, req.params)
  await ask(req, res, 'groups', {
    title: t('admin.groups.delete_title', { group: group.name }),
    lines: [t('admin.groups.delete_lead', { count: group.members })],
    action: `/admin/groups/${group.id}/deletion`,
    button: t('admin.groups.delete_button'),
    backHref: `/admin/groups/${group.id}`,
  })
}

/** POST /admin/groups/:group/deletion */
export async function createGroupDeletion(req: GroupRequest, res: Response): Promise<void> {
  const { name } = await act(req, OPERATIONS.showGroup, req.params)
  await act(req, OPERATIONS.deleteGroup, req.params)
  redirectWith(req, res, 'group-deleted', '/admin/groups', { values: { group: name } })
}
