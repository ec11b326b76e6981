import type { Request, Response } from 'express'
import { OPERATIONS } from '../../administration/operations.ts'
import { textsOf } from '../context.ts'
import { redirectWith } from '../flash-messages.ts'
import { act } from './act.ts'
import { ask, renderAdmin } from './admin-page.ts'
import { shapeFamily, timeOf } from './people.ts'

type FamilyRequest = Request<{ family: string }>

/** GET /admin/families/:family */
export async function showFamilyToOperator(req: FamilyRequest, res: Response): Promise<void> {
  const family = await act(req, OPERATIONS.showFamily, req.params)
  const { app_name: app, username } = family
  await renderAdmin(
    req,
    res,
    'admin/families/show',
    { title: textsOf(req).t('admin.families.title', { app, username }), section: 'people' },
    {
      family: shapeFamily(req, family),
      username,
      identityId: family.identity_id,
      scope: family.scope,
      delivery: family.delivery,
      advice: family.advice,
      timeline: family.timeline.map(({ what, from, is_warning: isWarning, first_at: first, last_at: last }) => ({
        what,
        from,
        isWarning,
        first: first === null || first === last ? null : timeOf(req, first),
        last: last === null ? null : timeOf(req, last),
      })),
    },
  )
}

/** GET /admin/families/:family/ending */
export async function newFamilyEnding(req: FamilyRequest, res: Response): Promise<void> {
  const { t } = textsOf(req)
  const { id, app_name: app, username, from } = await act(req, OPERATIONS.showFamily, req.params)
  await ask(req, res, 'people', {
    title: t('admin.families.end_title', { app, username }),
    lines: [t('admin.families.end_lead', { app, from })],
    action: `/admin/families/${id}/ending`,
    button: t('admin.families.end_button'),
    backHref: `/admin/families/${id}`,
  })
}

/** POST /admin/families/:family/ending */
export async function createFamilyEnding(req: FamilyRequest, res: Response): Promise<void> {
  const { identity_id: identity, app_name: app } = await act(req, OPERATIONS.showFamily, req.params)
  await act(req, OPERATIONS.endFamily, req.params)
  redirectWith(req, res, 'person-app-ended', `/admin/people/${identity}`, { values: { app } })
}
