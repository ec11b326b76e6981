import { type RequestHandler, Router } from 'express'
import { addAdminRoutes } from './admin/routes.ts'
import type { Assets } from './assets.ts'
import { ERROR_REFERENCE } from '../oidc/pages.ts'
import { showCookieCheck } from './cookie-check.ts'
import { redirectWith } from './flash-messages.ts'
import { recognizeUser, requireFreshSignIn, requireIdentity } from './middleware/identity.ts'
import { forms } from './middleware/forms.ts'
import { keepOpenerOnWay } from './middleware/opener.ts'
import { requireLocalPeer } from './middleware/local-peer.ts'
import { actOnce, actOncePerForm, answerRepeatedForms } from './middleware/repeated-forms.ts'
import { keepUrlSecret, letFormsLeadOn } from './middleware/security-headers.ts'
import { createAccountLink, createAccountLinkRefusal, newAccountLink } from './pages/account-links.ts'
import { listActivity } from './pages/activity.ts'
import { showAppIcon } from './app-icons.ts'
import { confirmDestroyConsent, destroyConsent } from './pages/consents.ts'
import { createEmailChange, createEmailChangeWithdrawal, newEmailChange } from './pages/email-changes.ts'
import { createAccountRestoration, newAccountRestoration } from './pages/account-restorations.ts'
import { showDashboard } from './pages/dashboard.ts'
import { createDeletion, newDeletion } from './pages/deletions.ts'
import { createDeviceName, createDeviceRemoval, createDeviceTrustRemoval, showDevice } from './pages/devices.ts'
import {
  createDeviceApproval,
  createDeviceDenial,
  createDeviceStepUp,
  showDeviceRequest,
} from './pages/device-requests.ts'
import { createReportedSignIn, newReportedSignIn } from './pages/reported-sign-ins.ts'
import {
  createEmailVerification,
  createVerificationMail,
  newEmailVerification,
  showEmailVerification,
} from './pages/email-verifications.ts'
import { listErrors } from './pages/errors.ts'
import { createExport, newExport } from './pages/exports.ts'
import { createDisconnection, createFamilyRevocation, newDisconnection, showFamily } from './pages/families.ts'
import {
  createOtherSessionsRevocation,
  createSessionRevocation,
  listSessions,
  showSession,
} from './pages/identity-sessions.ts'
import {
  createAccountChoice,
  createCancellation,
  createConfirmation,
  createIntroduction,
  createStepUp,
  showInteraction,
} from './pages/interactions.ts'
import { createFirstAdministrator, newFirstAdministrator } from './pages/first-administrators.ts'
import { createInvitedAccount, newInvitedAccount, requireInvitations } from './pages/invitations.ts'
import { createPasswordChange, newPasswordChange } from './pages/password-changes.ts'
import {
  createForgottenPassword,
  createPasswordReset,
  newForgottenPassword,
  newPasswordReset,
} from './pages/password-resets.ts'
import { createProfileChange, newProfileChange } from './pages/profiles.ts'
import { createLanguageChange, createLanguageSwitch, newLanguageChange } from './pages/languages.ts'
import {
  confirmMailSignIn,
  createMailSignIn,
  finishMailSignIn,
  newMailSignIn,
  requireMailSignIn,
} from './pages/mail-sign-ins.ts'
import { listMailPreviews, showMailPreview, showMailPreviewMime } from './pages/mail-previews.ts'
import { listMailSamples, showMailSample, showMailSampleHtml } from './pages/sample-mails.ts'
import { listSamplePages, showSamplePage } from './pages/page-gallery.ts'
import { createOfferedPasskey, createOfferRefusal, newPasskeyOffer } from './pages/passkey-offers.ts'
import { createPasskey, newPasskey } from './pages/passkeys.ts'
import { createReauthentication, newReauthentication } from './pages/reauthentications.ts'
import { createRegistration, newRegistration, requireOpenRegistration } from './pages/registrations.ts'
import { createRecoveryCodes, createRecoveryCodesFile, newRecoveryCodes } from './pages/recovery-codes.ts'
import { destroyFactor, editFactor, listFactors, updateFactor } from './pages/second-factors.ts'
import { createSecondStep, newSecondStep } from './pages/second-steps.ts'
import { createTermsAcceptance, newTermsAcceptance } from './pages/terms.ts'
import { createTotpKey, newTotpKey } from './pages/totp-keys.ts'
import {
  confirmDestroySession,
  createPasskeySession,
  createSession,
  destroyCurrentSession,
  newSession,
} from './pages/sessions.ts'
import { createLinkedAccount, destroyLinkedAccount, listAccounts } from './pages/linked-accounts.ts'
import { createUpstreamLogout, createUpstreamSignIn, finishUpstreamSignIn } from './pages/upstream-sign-ins.ts'
import { showSettings } from './pages/settings.ts'
import {
  leadToPasswordChange,
  showPasskeyEndpoints,
  showRelatedOrigins,
  showSecurityContact,
} from './pages/well-known.ts'
import { createTrustRemoval } from './pages/trusted-browsers.ts'

/** True for the path of a static file, which is the same for all users and hosts. */
export function isPublicFile(path: string): boolean {
  return /^\/public\/[\w-][\w.-]*$/.test(path)
}

/** The table of every URL that users see; `protocol` answers those of OAuth. */
export function createRoutes(
  staticFile: Assets['serve'],
  identityCookie: RequestHandler,
  sameOrigin: RequestHandler,
  protocol: RequestHandler,
): Router {
  const routes = Router()

  routes.get('/public/:name', staticFile)
  routes.get('/app-icons/:clientId/:hash', showAppIcon)
  routes.get(ERROR_REFERENCE, listErrors)
  routes.get('/.well-known/webauthn', showRelatedOrigins)
  routes.get('/.well-known/passkey-endpoints', showPasskeyEndpoints)
  routes.get('/.well-known/change-password', leadToPasswordChange)
  routes.get('/.well-known/security.txt', showSecurityContact)

  // The link of a mail authorizes its act, with or without a sign-in.
  routes.use(
    [
      '/not-me/:token',
      '/verify-email/:token',
      '/reset-password/:token',
      '/login/mail/:token',
      '/invitation/:token',
      '/first-administrator/:token',
    ],
    keepUrlSecret,
  )
  routes.use(sameOrigin)

  const whoIsSignedIn = [identityCookie, recognizeUser]
  // The protocol parses its own bodies, so these routes come before the parser of forms.
  const askProtocol = [...whoIsSignedIn, letFormsLeadOn, protocol]
  routes.all(['/oauth/authorize', '/oauth/logout'], askProtocol)
  // With another method, such as when the page after a form is loaded again, there is no page here, and the error page says so.
  routes.get(['/oauth/authorize/:uid', '/oauth/logout/success'], askProtocol)
  routes.route('/oauth/logout/confirm').post(askProtocol)
  // A body may arrive half a minute after its headers, so the session is looked up only once the body is complete.
  routes.use(forms, keepOpenerOnWay, answerRepeatedForms, whoIsSignedIn)

  routes.get('/', (req, res) => res.redirect(303, req.signedIn ? '/dashboard' : '/login'))
  routes.get('/login', letFormsLeadOn, newSession)
  routes.post('/login', letFormsLeadOn, createSession)
  routes.post('/login/passkey', letFormsLeadOn, actOnce, createPasskeySession)
  routes.use('/login/mail', requireMailSignIn)
  routes.get('/login/mail', letFormsLeadOn, newMailSignIn)
  routes.post('/login/mail', letFormsLeadOn, createMailSignIn)
  routes.get('/login/mail/:token', letFormsLeadOn, confirmMailSignIn)
  routes.post('/login/mail/:token', letFormsLeadOn, actOncePerForm, finishMailSignIn)
  routes.post('/login/with/:provider', letFormsLeadOn, createUpstreamSignIn)
  routes.get('/login/with/:provider/callback', keepUrlSecret, letFormsLeadOn, finishUpstreamSignIn)
  routes.post('/login/with/:provider/backchannel-logout', createUpstreamLogout)
  routes.get('/login/connection', letFormsLeadOn, newAccountLink)
  routes.post('/login/connection', letFormsLeadOn, createAccountLink)
  routes.post('/login/connection/refusal', letFormsLeadOn, createAccountLinkRefusal)
  routes.get('/login/cookie-check', showCookieCheck)
  routes.get('/login/second-factor', letFormsLeadOn, newSecondStep)
  routes.post('/login/second-factor', letFormsLeadOn, createSecondStep)
  routes.all('/register', requireOpenRegistration)
  routes.get('/register', letFormsLeadOn, newRegistration)
  routes.post('/register', letFormsLeadOn, actOnce, createRegistration)
  routes.all('/invitation/:token', requireInvitations)
  routes.get('/invitation/:token', newInvitedAccount)
  routes.post('/invitation/:token', actOncePerForm, createInvitedAccount)
  routes.get('/first-administrator/:token', newFirstAdministrator)
  routes.post('/first-administrator/:token', actOncePerForm, createFirstAdministrator)
  routes.get('/logout', confirmDestroySession)
  routes.post('/logout', destroyCurrentSession)

  routes.post('/language', createLanguageSwitch)

  routes.get('/verify-email', requireIdentity, showEmailVerification)
  routes.post('/verify-email', requireIdentity, createVerificationMail)
  routes.get('/verify-email/:token', newEmailVerification)
  routes.post('/verify-email/:token', actOncePerForm, createEmailVerification)
  routes.get('/forgot-password', letFormsLeadOn, newForgottenPassword)
  routes.post('/forgot-password', letFormsLeadOn, createForgottenPassword)
  routes.get('/reset-password', (req, res) => redirectWith(req, res, 'reset-link-incomplete', '/forgot-password'))
  routes.get('/reset-password/:token', newPasswordReset)
  routes.post('/reset-password/:token', actOncePerForm, createPasswordReset)

  routes.get('/not-me/:token', newReportedSignIn)
  routes.post('/not-me/:token', actOncePerForm, createReportedSignIn)

  routes.get('/terms', letFormsLeadOn, requireIdentity, newTermsAcceptance)
  routes.post('/terms', letFormsLeadOn, requireIdentity, createTermsAcceptance)

  routes.get('/reauthentication', letFormsLeadOn, requireIdentity, newReauthentication)
  routes.post('/reauthentication', letFormsLeadOn, requireIdentity, createReauthentication)

  routes.get('/passkey-offer', letFormsLeadOn, requireIdentity, newPasskeyOffer)
  routes.post('/passkey-offer', letFormsLeadOn, requireIdentity, createOfferedPasskey)
  routes.post('/passkey-offer/refusal', letFormsLeadOn, requireIdentity, createOfferRefusal)

  routes.get('/account-restoration', letFormsLeadOn, newAccountRestoration)
  routes.post('/account-restoration', letFormsLeadOn, createAccountRestoration)

  routes.get('/interaction/:uid', letFormsLeadOn, showInteraction)
  routes.post('/interaction/:uid/second-factor', letFormsLeadOn, createStepUp)
  routes.post('/interaction/:uid/account', letFormsLeadOn, createAccountChoice)
  routes.post('/interaction/:uid/confirmation', letFormsLeadOn, createConfirmation)
  routes.post('/interaction/:uid/introduction', letFormsLeadOn, createIntroduction)
  routes.post('/interaction/:uid/cancellation', letFormsLeadOn, createCancellation)

  routes.get('/device', requireIdentity, showDeviceRequest)
  routes.post('/device/approval', requireIdentity, actOnce, createDeviceApproval)
  routes.post('/device/denial', requireIdentity, actOnce, createDeviceDenial)
  routes.post('/device/second-factor', requireIdentity, createDeviceStepUp)

  routes.get('/dashboard', requireIdentity, showDashboard)
  routes.get('/families/:id', requireIdentity, showFamily)
  routes.post('/families/:id/revocation', requireIdentity, createFamilyRevocation)
  routes.get('/apps/:clientId/disconnection', requireIdentity, newDisconnection)
  routes.post('/apps/:clientId/disconnection', requireIdentity, createDisconnection)
  routes.get('/apps/:clientId/withdrawal', requireIdentity, confirmDestroyConsent)
  routes.post('/apps/:clientId/withdrawal', requireIdentity, destroyConsent)
  routes.get('/sessions', requireIdentity, listSessions)
  routes.post('/sessions/revocation', requireIdentity, createOtherSessionsRevocation)
  routes.post('/sessions/:id/revocation', requireIdentity, createSessionRevocation)
  routes.get('/sessions/:id', requireIdentity, showSession)
  routes.get('/devices/:id', requireIdentity, showDevice)
  routes.post('/devices/:id/name', requireIdentity, createDeviceName)
  routes.post('/devices/:id/removal', requireIdentity, createDeviceRemoval)
  routes.post('/devices/:id/trust-removal', requireIdentity, createDeviceTrustRemoval)
  routes.get('/activity', requireIdentity, listActivity)
  routes.get('/settings', requireIdentity, showSettings)
  routes.get('/settings/password', requireIdentity, newPasswordChange)
  routes.post('/settings/password', requireIdentity, createPasswordChange)
  routes.get('/settings/email', requireFreshSignIn('/settings/email'), newEmailChange)
  routes.post('/settings/email', requireFreshSignIn('/settings/email'), createEmailChange)
  routes.post('/settings/email/withdrawal', requireIdentity, createEmailChangeWithdrawal)
  routes.get('/settings/export', requireFreshSignIn('/settings/export'), newExport)
  routes.post('/settings/export', requireFreshSignIn('/settings/export'), createExport)
  routes.get('/settings/deletion', requireFreshSignIn('/settings/deletion'), newDeletion)
  routes.post('/settings/deletion', requireFreshSignIn('/settings/deletion'), actOnce, createDeletion)

  routes.get('/settings/profile', requireIdentity, newProfileChange)
  routes.post('/settings/profile', requireIdentity, createProfileChange)
  routes.get('/settings/language', requireIdentity, newLanguageChange)
  routes.post('/settings/language', requireIdentity, createLanguageChange)

  const linked = '/settings/linked-accounts'
  routes.get(linked, letFormsLeadOn, requireFreshSignIn(linked), listAccounts)
  routes.post('/settings/linked-accounts', letFormsLeadOn, requireFreshSignIn(linked), createLinkedAccount)
  routes.post('/settings/linked-accounts/:id/removal', requireFreshSignIn(linked), actOnce, destroyLinkedAccount)

  const factors = '/settings/second-factors'
  const fresh = requireFreshSignIn(factors)
  routes.get(factors, fresh, listFactors)
  routes.get(`${factors}/totp/new`, fresh, newTotpKey)
  routes.post(`${factors}/totp`, fresh, actOnce, createTotpKey)
  routes.get(`${factors}/passkey/new`, fresh, newPasskey)
  routes.post(`${factors}/passkey`, fresh, actOnce, createPasskey)
  routes.get(`${factors}/recovery-codes/new`, fresh, newRecoveryCodes)
  routes.post(`${factors}/recovery-codes`, fresh, createRecoveryCodes)
  routes.post(`${factors}/recovery-codes/file`, requireIdentity, createRecoveryCodesFile)
  routes.get(`${factors}/:kind/:id`, fresh, editFactor)
  routes.post(`${factors}/:kind/:id`, fresh, updateFactor)
  routes.post(`${factors}/:kind/:id/removal`, fresh, actOnce, destroyFactor)

  routes.post('/settings/trusted-browsers/removal', requireIdentity, createTrustRemoval)

  addAdminRoutes(routes)

  routes.get('/dev/pages', requireLocalPeer, listSamplePages)
  routes.get('/dev/pages/show', requireLocalPeer, showSamplePage)
  routes.get('/dev/mails', requireLocalPeer, listMailSamples)
  routes.get('/dev/mails/:kind', requireLocalPeer, showMailSample)
  routes.get('/dev/mails/:kind/html', requireLocalPeer, showMailSampleHtml)
  routes.get('/dev/outbox', requireLocalPeer, listMailPreviews)
  routes.get('/dev/outbox/:name', requireLocalPeer, showMailPreview)
  routes.get('/dev/outbox/:name/eml', requireLocalPeer, showMailPreviewMime)

  return routes
}
