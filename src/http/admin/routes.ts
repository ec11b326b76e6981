import type { Router } from 'express'
import { actOnce } from '../middleware/repeated-forms.ts'
import { requireAdministrator, requireOperator } from './guard.ts'
import { createGroupDeletion, listGroups, newGroupDeletion } from './groups.ts'

/** The table of the admin pages. Each change has a page that asks first. */
export function addAdminRoutes(routes: Router): void {
  const admin = [requireOperator, requireAdministrator]

  routes.get('/admin', requireOperator, (_req, res) => res.redirect(303, '/admin/groups'))

  routes.get('/admin/groups', requireOperator, listGroups)
  routes.get('/admin/groups/:group/deletion', admin, newGroupDeletion)
  routes.post('/admin/groups/:group/deletion', admin, actOnce, createGroupDeletion)
}
