import { askForEmailCode, useEmailCode } from '../../accounts/email-codes.ts'
import { mayConnectApps } from '../../identities/emails.ts'
import { findIdentity } from '../../identities/identities.ts'
import { findAllowedDomains } from '../../identities/open-registration.ts'
import type { Services } from '../../services.ts'
import type { DirectSignIn, StepOutcome } from './step.ts'

/** The proof of the e-mail address by a code from a mail, where it must be confirmed before an app is connected. */
export async function emailAddress(services: Services, direct: DirectSignIn): Promise<StepOutcome> {
  const { progress, answers, clientInfo } = direct
  const { email_code: typed, send_email_code: wanted } = answers
  const { emailCode: sent, ...before } = progress
  const identity = progress.proof && (await findIdentity(services, progress.proof.identityId))
  if (identity === null) return { kind: 'lapsed' }
  if (!(await mustProveEmail(services, identity.emailVerified))) return { kind: 'passed', progress }

  const isAsked = sent !== undefined && sent.identityId === identity.id
  if (isAsked && wanted !== 'true') {
    if (typed === undefined) return { kind: 'missing', next: ['email_code'] }
    const outcome = await useEmailCode(services, sent, typed, clientInfo)
    if (outcome.kind === 'throttled') return outcome
    if (outcome.kind === 'proved') return { kind: 'passed', progress: before }
    const { sent: emailCode, ipBlock } = outcome
    return {
      kind: 'missing',
      next: ['email_code'],
      refusal: 'code_invalid',
      progress: { ...before, emailCode },
      ipBlock,
    }
  }
  const emailCode = await askForEmailCode(services, identity, clientInfo)
  if (emailCode === null) return { kind: 'missing', next: ['email_code'], refusal: 'mail_limited' }
  return { kind: 'missing', next: ['email_code'], progress: { ...before, emailCode } }
}

/** Whether a user must confirm the e-mail address before an app is connected. */
export async function mustProveEmail(services: Services, emailVerified: boolean): Promise<boolean> {
  const hasDomains = (await findAllowedDomains(services)).length > 0
  return !mayConnectApps(services, { emailVerified, hasDomains })
}
