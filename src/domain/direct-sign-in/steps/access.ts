import { mayEnter } from '../../identities/entitlements.ts'
import { findIdentity } from '../../identities/identities.ts'
import { subjectIn } from '../../identities/subjects.ts'
import type { Services } from '../../services.ts'
import type { DirectSignIn, StepOutcome } from './step.ts'

/** Whether it is the user that the app expects, who may enter it, before anything else is asked of them. */
export async function access(services: Services, { app, progress, expectedSubs }: DirectSignIn): Promise<StepOutcome> {
  const { proof } = progress
  const identity = proof && (await findIdentity(services, proof.identityId))
  if (identity === null) return { kind: 'lapsed' }
  const sub = subjectIn(services, app, identity.id)
  if (expectedSubs.some((expected) => expected !== sub)) return { kind: 'other-user' }
  // The page on which a deleted account can be kept comes first.
  if (identity.erasedFrom !== null) return { kind: 'needs-page' }
  return mayEnter(app, identity) ? { kind: 'passed', progress } : { kind: 'no-access' }
}
