import type { Router } from 'express'
import { actOnce } from '../middleware/repeated-forms.ts'
import { exportAuditEvents, listAuditEvents } from './audit-events.ts'
import {
  createMailResend,
  createMailsResend,
  createNotificationResend,
  createTestMail,
  listNotifications,
  newMailResend,
  newMailsResend,
  newNotificationResend,
  newTestMail,
  showDeliveries,
} from './deliveries.ts'
import { addAppRoutes } from './app-routes.ts'
import { requireAdministrator, requireOperator } from './guard.ts'
import { showFindings } from './doctor.ts'
import { createFamilyEnding, newFamilyEnding, showFamilyToOperator } from './families.ts'
import {
  createGroup,
  createGroupDeletion,
  createMemberRemoval,
  createMembers,
  editGroup,
  listGroups,
  newGroup,
  newGroupDeletion,
  newMemberRemoval,
  newMembers,
  showGroup,
  updateGroup,
} from './groups.ts'
import { createPerson, listEventsOfPerson, listFamiliesOfPerson, listPeople, newPerson, showPerson } from './people.ts'
import {
  createAttributeRemoval,
  createFactorRemoval,
  createPersonDeletion,
  createPersonExport,
  createSessionEnding,
  newAttributeRemoval,
  newFactorRemoval,
  newPersonDeletion,
  newPersonErasure,
  newPersonExport,
  newSessionEnding,
  PERSON_ACTS,
  personAct,
} from './person-acts.ts'
import {
  createCorrection,
  createMembership,
  editAppRoles,
  editAttribute,
  editRoles,
  newCorrection,
  newMembership,
  updateAppRoles,
  updateAttribute,
  updateRoles,
} from './person-changes.ts'
import {
  createInvitation,
  createInvitationMail,
  createInvitationRevocation,
  editRegistration,
  listInvitations,
  newInvitation,
  newInvitationMail,
  newInvitationRevocation,
  updateRegistration,
} from './invitations.ts'
import { createIpBlockLifting, listIpBlocks, newIpBlockLifting } from './ip-blocks.ts'
import { showOverview } from './overview.ts'
import {
  createKeyRevocation,
  createKeyRotation,
  listSigningKeys,
  newKeyRevocation,
  newKeyRotation,
} from './signing-keys.ts'

/** The table of the admin pages. Each change has a page that asks first. */
export function addAdminRoutes(routes: Router): void {
  const admin = [requireOperator, requireAdministrator]

  routes.get('/admin', requireOperator, showOverview)

  routes.get('/admin/doctor', requireOperator, showFindings)

  routes.get('/admin/audit', requireOperator, listAuditEvents)
  routes.get('/admin/audit/export', requireOperator, exportAuditEvents)

  routes.get('/admin/blocks', requireOperator, listIpBlocks)
  routes.get('/admin/blocks/lifting', admin, newIpBlockLifting)
  routes.post('/admin/blocks/lifting', admin, createIpBlockLifting)

  routes.get('/admin/queues', requireOperator, showDeliveries)
  routes.get('/admin/queues/test-mail', admin, newTestMail)
  routes.post('/admin/queues/test-mail', admin, createTestMail)
  routes.get('/admin/queues/resend', admin, newMailsResend)
  routes.post('/admin/queues/resend', admin, createMailsResend)
  routes.get('/admin/queues/mails/:mail/resend', admin, newMailResend)
  routes.post('/admin/queues/mails/:mail/resend', admin, actOnce, createMailResend)
  routes.get('/admin/queues/notifications', requireOperator, listNotifications)
  routes.get('/admin/queues/notifications/resend', admin, newNotificationResend)
  routes.post('/admin/queues/notifications/resend', admin, createNotificationResend)

  routes.get('/admin/keys', admin, listSigningKeys)
  routes.get('/admin/keys/rotation', admin, newKeyRotation)
  routes.post('/admin/keys/rotation', admin, createKeyRotation)
  routes.get('/admin/keys/:kid/revocation', admin, newKeyRevocation)
  routes.post('/admin/keys/:kid/revocation', admin, actOnce, createKeyRevocation)

  const invitations = '/admin/people/invitations'
  routes.get(invitations, requireOperator, listInvitations)
  routes.get(`${invitations}/new`, admin, newInvitation)
  routes.post(invitations, admin, actOnce, createInvitation)
  routes.get(`${invitations}/:invitation/resend`, admin, newInvitationMail)
  routes.post(`${invitations}/:invitation/resend`, admin, actOnce, createInvitationMail)
  routes.get(`${invitations}/:invitation/revocation`, admin, newInvitationRevocation)
  routes.post(`${invitations}/:invitation/revocation`, admin, actOnce, createInvitationRevocation)
  routes.get('/admin/people/registration', admin, editRegistration)
  routes.post('/admin/people/registration', admin, updateRegistration)

  routes.get('/admin/groups', requireOperator, listGroups)
  routes.get('/admin/groups/new', admin, newGroup)
  routes.post('/admin/groups/new', admin, createGroup)
  routes.get('/admin/groups/:group', requireOperator, showGroup)
  routes.get('/admin/groups/:group/edit', admin, editGroup)
  routes.post('/admin/groups/:group/edit', admin, updateGroup)
  routes.get('/admin/groups/:group/members', admin, newMembers)
  routes.post('/admin/groups/:group/members', admin, createMembers)
  routes.get('/admin/groups/:group/members/:identity/removal', admin, newMemberRemoval)
  routes.post('/admin/groups/:group/members/:identity/removal', admin, actOnce, createMemberRemoval)
  routes.get('/admin/groups/:group/deletion', admin, newGroupDeletion)
  routes.post('/admin/groups/:group/deletion', admin, actOnce, createGroupDeletion)

  routes.get('/admin/people', requireOperator, listPeople)
  routes.get('/admin/people/new', admin, newPerson)
  routes.post('/admin/people/new', admin, createPerson)
  const person = '/admin/people/:identity'
  routes.get(person, requireOperator, showPerson)
  routes.get(`${person}/families`, requireOperator, listFamiliesOfPerson)
  routes.get(`${person}/events`, requireOperator, listEventsOfPerson)
  routes.get(`${person}/correction`, admin, newCorrection)
  routes.post(`${person}/correction`, admin, createCorrection)
  routes.get(`${person}/roles`, admin, editRoles)
  routes.post(`${person}/roles`, admin, updateRoles)
  routes.get(`${person}/app-roles`, admin, editAppRoles)
  routes.post(`${person}/app-roles`, admin, updateAppRoles)
  routes.get(`${person}/groups`, admin, newMembership)
  routes.post(`${person}/groups`, admin, createMembership)
  routes.get(`${person}/attributes`, admin, editAttribute)
  routes.post(`${person}/attributes`, admin, updateAttribute)
  routes.get(`${person}/attributes/:attribute/removal`, admin, newAttributeRemoval)
  routes.post(`${person}/attributes/:attribute/removal`, admin, createAttributeRemoval)
  routes.get(`${person}/second-factors/:factor/removal`, admin, newFactorRemoval)
  routes.post(`${person}/second-factors/:factor/removal`, admin, actOnce, createFactorRemoval)
  routes.get(`${person}/sessions/:session/ending`, requireOperator, newSessionEnding)
  routes.post(`${person}/sessions/:session/ending`, requireOperator, actOnce, createSessionEnding)
  for (const name of Object.keys(PERSON_ACTS) as (keyof typeof PERSON_ACTS)[]) {
    const { question, act } = personAct(name)
    const guards = PERSON_ACTS[name].operation.forSupport ? [requireOperator] : admin
    routes.get(`${person}/${name}`, guards, question)
    routes.post(`${person}/${name}`, guards, act)
  }
  routes.get(`${person}/export`, admin, newPersonExport)
  routes.post(`${person}/export`, admin, createPersonExport)
  routes.get(`${person}/deletion`, admin, newPersonDeletion)
  routes.get(`${person}/erasure`, admin, newPersonErasure)
  routes.post(`${person}/deletion`, admin, actOnce, createPersonDeletion)

  routes.get('/admin/families/:family', requireOperator, showFamilyToOperator)
  routes.get('/admin/families/:family/ending', requireOperator, newFamilyEnding)
  routes.post('/admin/families/:family/ending', requireOperator, actOnce, createFamilyEnding)

  addAppRoutes(routes)
}
