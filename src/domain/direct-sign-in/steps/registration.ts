import { registerOrSignIn } from '../../accounts/registrations.ts'
import { changeAppRoles } from '../../apps/app-roles.ts'
import type { AppRow } from '../../apps/apps.ts'
import { examineRegistration } from '../../identities/identities.ts'
import { isRegistrationOpen } from '../../identities/open-registration.ts'
import { admitRegistration } from '../../limits/login-throttling.ts'
import type { Services } from '../../services.ts'
import { proofByPassword } from '../../sign-in/identity-sessions.ts'
import { mustProveEmail } from './email-address.ts'
import type { DirectSignIn, Problems, StepOutcome } from './step.ts'

/**
 * The registration of a user, by the rules of the registration page; with the e-mail address and the password of an account, the
 * sign-in to that one. Where the terms of use are not accepted with it, the step for them follows. @throws Overloaded
 */
export async function registration(services: Services, direct: DirectSignIn): Promise<StepOutcome> {
  const { progress, answers, clientInfo, device } = direct
  if (progress.proof !== null || answers.register !== 'true') return { kind: 'passed', progress }
  if (!isRegistrationOpen(services)) return { kind: 'missing', next: ['password'], refusal: 'registration_closed' }
  const roles = [...new Set(answers.roles?.split(' ').filter(Boolean))]
  if (!roles.every((role) => isSelfAssignable(direct.app, role)))
    return { kind: 'missing', next: ['registration'], refusal: 'role_not_assignable' }
  // Every form counts against the rate limit, before anything costly and whatever its outcome.
  const admission = await admitRegistration(services, clientInfo.address)
  if (admission.kind === 'wait') return { ...admission, kind: 'throttled' }

  const { username = '', email = '', password = '', password_confirmation: again } = answers
  const values = { username, email, password }
  if (again !== password) {
    const { problems } = await examineRegistration(services, values, clientInfo)
    return refused({ ...problems, password_confirmation: { key: 'password.not_the_same' } })
  }
  const outcome = await registerOrSignIn(services, values, {
    clientInfo,
    deviceHash: device.isProven ? device.hash : null,
    termsVersion: answers.terms_version === services.brand.termsVersion ? services.brand.termsVersion : null,
    asksForProof: !(await mustProveEmail(services, false)),
  })
  switch (outcome.kind) {
    case 'refused':
      return refused(outcome.problems)
    case 'registered':
      if (roles.length > 0) await changeAppRoles(services, outcome.identity.id, direct.app.clientId, roles)
      return { kind: 'passed', progress: { ...progress, proof: proofByPassword(outcome.identity) } }
    case 'signed-in':
    case 'second-factor':
      return { kind: 'passed', progress: { ...progress, proof: outcome.proof } }
  }
}

/** A role of the app itself that its operator lets strangers have. */
function isSelfAssignable({ roles, selfAssignableRoles }: AppRow, role: string): boolean {
  return roles.includes(role) && selfAssignableRoles.includes(role)
}

function refused(problems: Problems): StepOutcome {
  return { kind: 'missing', next: ['registration'], problems, refusal: 'registration_invalid' }
}
