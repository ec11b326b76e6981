import { hasReadIntroduction } from '../../accounts/introductions.ts'
import { mayConnectApps } from '../../identities/emails.ts'
import { mayEnter } from '../../identities/entitlements.ts'
import { findIdentity } from '../../identities/identities.ts'
import { findAllowedDomains } from '../../identities/open-registration.ts'
import { subjectIn } from '../../identities/subjects.ts'
import { owesTerms } from '../../identities/terms.ts'
import type { Services } from '../../services.ts'
import type { DirectSignIn, StepOutcome } from './step.ts'

/** What must be true of a user before an app gets a code, as at the authorization endpoint. What is missing needs a page. */
export async function permission(services: Services, direct: DirectSignIn): Promise<StepOutcome> {
  const { app, progress, expectedSubs } = direct
  const { proof } = progress
  const identity = proof && (await findIdentity(services, proof.identityId))
  if (identity === null) return { kind: 'lapsed' }
  const sub = subjectIn(services, app, identity.id)
  if (expectedSubs.some((expected) => expected !== sub)) return { kind: 'other-user' }
  // The page on which a deleted account can be kept comes first.
  if (identity.erasedFrom !== null) return { kind: 'needs-page' }
  if (!mayEnter(app, identity)) return { kind: 'no-access' }
  if (owesTerms(services, identity)) return { kind: 'needs-page' }
  const hasDomains = (await findAllowedDomains(services)).length > 0
  if (!mayConnectApps(services, { emailVerified: identity.emailVerified, hasDomains })) return { kind: 'needs-page' }
  if (app.firstTimeNotice && !(await hasReadIntroduction(services, identity.id, app.clientId)))
    return { kind: 'needs-page' }
  return { kind: 'passed', progress }
}
