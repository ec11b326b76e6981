import { join } from 'node:path'
import express, { type RequestHandler, Router } from 'express'
import { findIdentity, requireFreshSignIn, requireIdentity } from './middleware/identity.ts'
import { forms } from './middleware/forms.ts'
import { letFormsLeadOn, withholdReferrer } from './middleware/security-headers.ts'
import { listActivity } from './portal/activity.ts'
import { createAddressChange, createAddressChangeWithdrawal, newAddressChange } from './portal/address-changes.ts'
import { showDashboard } from './portal/dashboard.ts'
import {
  createEmailVerification,
  createVerificationMail,
  newEmailVerification,
  showEmailVerification,
} from './portal/email-verifications.ts'
import { createDisconnection, createFamilyRevocation } from './portal/families.ts'
import { createOtherSessionsRevocation, createSessionRevocation, listSessions } from './portal/identity-sessions.ts'
import { createCancellation, createConfirmation, showInteraction } from './portal/interactions.ts'
import { createPasswordChange, newPasswordChange } from './portal/password-changes.ts'
import {
  createForgottenPassword,
  createPasswordReset,
  newForgottenPassword,
  newPasswordReset,
} from './portal/password-resets.ts'
import { createReauthentication, newReauthentication } from './portal/reauthentications.ts'
import { listOutboxMails, showOutboxMail, showOutboxMime } from './portal/outbox.ts'
import { createRegistration, newRegistration } from './portal/registrations.ts'
import { confirmDestroySession, createSession, destroyCurrentSession, newSession } from './portal/sessions.ts'
import { showSettings } from './portal/settings.ts'

const PUBLIC = join(import.meta.dirname, '../../public')

/** The table of contents of every URL people see; `protocol` answers the ones that belong to OAuth. */
export function createRoutes(
  identityCookie: RequestHandler,
  sameOrigin: RequestHandler,
  protocol: RequestHandler,
): Router {
  const routes = Router()

  routes.use('/public', express.static(PUBLIC, { index: false, maxAge: '1h' }))
  routes.use(sameOrigin, identityCookie, findIdentity)

  // The protocol reads its own bodies, so these stand before the parser of forms.
  routes.all(
    ['/oauth/authorize', '/oauth/authorize/:uid', '/oauth/logout', '/oauth/logout/confirm', '/oauth/logout/success'],
    letFormsLeadOn,
    protocol,
  )
  routes.use(forms)

  routes.get('/', (req, res) => res.redirect(303, req.signedIn ? '/dashboard' : '/login'))
  routes.get('/login', letFormsLeadOn, newSession)
  routes.post('/login', letFormsLeadOn, createSession)
  routes.get('/register', letFormsLeadOn, newRegistration)
  routes.post('/register', letFormsLeadOn, createRegistration)
  routes.get('/logout', confirmDestroySession)
  routes.post('/logout', destroyCurrentSession)

  routes.get('/verify-email', requireIdentity, showEmailVerification)
  routes.post('/verify-email', requireIdentity, createVerificationMail)
  routes.get('/verify-email/:token', withholdReferrer, newEmailVerification)
  routes.post('/verify-email/:token', withholdReferrer, createEmailVerification)
  routes.get('/forgot-password', newForgottenPassword)
  routes.post('/forgot-password', createForgottenPassword)
  routes.get('/reset-password', (_req, res) => res.redirect(303, '/forgot-password'))
  routes.get('/reset-password/:token', withholdReferrer, newPasswordReset)
  routes.post('/reset-password/:token', withholdReferrer, createPasswordReset)

  routes.get('/reauthentication', letFormsLeadOn, requireIdentity, newReauthentication)
  routes.post('/reauthentication', letFormsLeadOn, requireIdentity, createReauthentication)

  routes.get('/interaction/:uid', letFormsLeadOn, showInteraction)
  routes.post('/interaction/:uid/confirmation', letFormsLeadOn, createConfirmation)
  routes.post('/interaction/:uid/cancellation', letFormsLeadOn, createCancellation)

  routes.get('/dashboard', requireIdentity, showDashboard)
  routes.post('/families/:id/revocation', requireIdentity, createFamilyRevocation)
  routes.post('/apps/:clientId/disconnection', requireIdentity, createDisconnection)
  routes.get('/sessions', requireIdentity, listSessions)
  routes.post('/sessions/revocation', requireIdentity, createOtherSessionsRevocation)
  routes.post('/sessions/:id/revocation', requireIdentity, createSessionRevocation)
  routes.get('/activity', requireIdentity, listActivity)
  routes.get('/settings', requireIdentity, showSettings)
  routes.get('/settings/password', requireIdentity, newPasswordChange)
  routes.post('/settings/password', requireIdentity, createPasswordChange)
  routes.get('/settings/email', requireFreshSignIn('/settings/email'), newAddressChange)
  routes.post('/settings/email', requireFreshSignIn('/settings/email'), createAddressChange)
  routes.post('/settings/email/withdrawal', requireIdentity, createAddressChangeWithdrawal)

  routes.get('/dev/outbox', listOutboxMails)
  routes.get('/dev/outbox/:name', showOutboxMail)
  routes.get('/dev/outbox/:name/eml', showOutboxMime)

  return routes
}
