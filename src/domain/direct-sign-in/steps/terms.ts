import { acceptTermsWith } from '../../accounts/terms.ts'
import { findIdentity } from '../../identities/identities.ts'
import { owesTerms } from '../../identities/terms.ts'
import type { Services } from '../../services.ts'
import type { DirectSignIn, StepOutcome } from './step.ts'

/** The terms of use, where the operator asks for a version of them that the user has not accepted. */
export async function terms(services: Services, { progress, answers, clientInfo }: DirectSignIn): Promise<StepOutcome> {
  const { termsVersion, termsUrl } = services.brand
  const { terms_version: accepted } = answers
  const { proof } = progress
  const identity = proof && (await findIdentity(services, proof.identityId))
  if (identity === null) return { kind: 'lapsed' }
  if (!owesTerms(services, identity)) return { kind: 'passed', progress }
  if (accepted !== undefined && (await acceptTermsWith(services, identity.id, accepted, clientInfo)) === 'accepted')
    return { kind: 'passed', progress }
  const details = { terms_version: termsVersion, terms_uri: termsUrl }
  return { kind: 'missing', next: ['terms'], details, ...(accepted === undefined ? {} : { refusal: 'terms_outdated' }) }
}
