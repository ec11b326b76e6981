import { askForSignInCode, useEmailCode } from '../../accounts/email-codes.ts'
import type { Services } from '../../services.ts'
import { BY_MAIL } from '../../sign-in/authentication-context.ts'
import type { DirectSignIn, StepOutcome } from './step.ts'

/** A code from a mail in place of the password, where MAIL_SIGN_IN allows it; the second factor still follows. */
export async function mailSignIn(services: Services, direct: DirectSignIn): Promise<StepOutcome> {
  const { progress, answers, clientInfo, device } = direct
  const { login, email_code: typed, send_email_code: wanted } = answers
  const { emailCode: sent, ...before } = progress
  if (progress.proof !== null || !services.policy.mailSignIn) return { kind: 'passed', progress }
  if (wanted === 'true' && login !== undefined) {
    const deviceHash = device.isProven ? device.hash : null
    const asked = await askForSignInCode(services, { typed: login, clientInfo, deviceHash })
    if (asked.kind === 'throttled') return asked
    return { kind: 'missing', next: ['email_code'], progress: { ...before, emailCode: asked.sent } }
  }
  if (typed === undefined || sent === undefined) return { kind: 'passed', progress }
  const outcome = await useEmailCode(services, sent, typed, clientInfo)
  switch (outcome.kind) {
    case 'throttled':
      return outcome
    case 'refused': {
      const { sent: emailCode, ipBlock } = outcome
      return {
        kind: 'missing',
        next: ['email_code'],
        refusal: 'code_invalid',
        progress: { ...before, emailCode },
        ipBlock,
      }
    }
    case 'proved': {
      const { id: identityId, signOuts } = outcome.identity
      const proof = { identityId, amr: [BY_MAIL], methods: ['mail-link' as const], signOuts }
      return { kind: 'passed', progress: { ...before, proof } }
    }
  }
}
