import type { Request, Response } from 'express'
import { OPERATIONS } from '../../administration/operations.ts'
import { textsOf } from '../context.ts'
import { redirectWith } from '../flash-messages.ts'
import { act } from './act.ts'
import { ask, renderAdmin } from './admin-page.ts'

type GroupRequest = Request<{ group: string }>

/** GET /admin/groups */
export async function listGroups(req: Request, res: Response): Promise<void> {
  const { search = '', cursor } = req.query as { search?: string; cursor?: string }
  const page = await act(req, OPERATIONS.listGroups, {
    ...(search === '' ? {} : { search }),
    ...(cursor === undefined ? {} : { cursor }),
  })
  const nextHref = page.next_cursor && `/admin/groups?${new URLSearchParams({ search, cursor: page.next_cursor })}`
  await renderAdmin(
    req,
    res,
    'admin/groups/index',
    { title: textsOf(req).t('admin.groups.title'), section: 'groups' },
    { groups: page.items, search, nextHref },
  )
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
    backHref: '/admin/groups',
  })
}

/** POST /admin/groups/:group/deletion */
export async function createGroupDeletion(req: GroupRequest, res: Response): Promise<void> {
  const { name } = await act(req, OPERATIONS.showGroup, req.params)
  await act(req, OPERATIONS.deleteGroup, req.params)
  redirectWith(req, res, 'group-deleted', '/admin/groups', { values: { group: name } })
}
