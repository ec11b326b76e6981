import { hasReadIntroduction } from '../../accounts/introductions.ts'
import { mayConnectApps } from '../../identities/emails.ts'
import { findIdentity } from '../../identities/identities.ts'
import { findAllowedDomains } from '../../identities/open-registration.ts'
import type { Services } from '../../services.ts'
import type { DirectSignIn, StepOutcome } from './step.ts'

/** What must be true of a user before an app gets a code, as at the authorization endpoint. What is missing needs a page. */
export async function permission(services: Services, { app, progress }: DirectSignIn): Promise<StepOutcome> {
  const { proof } = progress
  const identity = proof && (await findIdentity(services, proof.identityId))
  if (identity === null) return { kind: 'lapsed' }
  const hasDomains = (await findAllowedDomains(services)).length > 0
  if (!mayConnectApps(services, { emailVerified: identity.emailVerified, hasDomains })) return { kind: 'needs-page' }
  if (app.firstTimeNotice && !(await hasReadIntroduction(services, identity.id, app.clientId)))
    return { kind: 'needs-page' }
  return { kind: 'passed', progress }
}
