import { message } from '../../i18n/messages.ts'
import { transaction } from '../../storage/postgres.ts'
import type { ClientInfo } from '../client-info.ts'
import type { IdentitySource } from '../identity-source.ts'
import { canonicalEmail } from '../identities/emails.ts'
import {
  type Examination,
  examineRegistration,
  register,
  type Registration,
  type RegistrationOutcome,
  type RegistrationTerms,
} from '../identities/identities.ts'
import { followSourceUser, readableReason } from '../identities/source-users.ts'
import { writeAcceptance } from '../identities/terms.ts'
import { canonicalUserName } from '../identities/user-names.ts'
import type { Services } from '../services.ts'

/**
 * Registers a person who has no invitation: in the identity source, where there is one, else here. A source cannot hide that it has
 * the name or the address already, so the rate limit of registrations is what slows down account enumeration.
 * @throws Overloaded, SourceUnavailable
 */
export async function registerStranger(
  services: Services,
  registration: Registration,
  clientInfo: ClientInfo,
  terms: Pick<RegistrationTerms, 'termsVersion' | 'events' | 'asksForProof'> = {},
): Promise<RegistrationOutcome> {
  const { identitySource } = services
  if (identitySource === null) return register(services, registration, clientInfo, terms)
  const examined = await examineRegistration(services, registration, clientInfo)
  if (Object.keys(examined.problems).length > 0) return { kind: 'refused', ...examined }
  return createThere(services, identitySource, registration, examined, clientInfo, terms.termsVersion ?? null)
}

async function createThere(
  services: Services,
  source: IdentitySource,
  { username, email, password }: Registration,
  { verdict }: Examination,
  clientInfo: ClientInfo,
  termsVersion: string | null,
): Promise<RegistrationOutcome> {
  const refused = (problem: ReturnType<typeof message>): RegistrationOutcome => ({
    kind: 'refused',
    problems: { username: problem },
    verdict,
  })
  const { create } = source
  if (create === null) return refused(message('source.registration_sentence'))
  const wanted = { username: canonicalUserName(username), email: canonicalEmail(email), password }
  const outcome = await create(wanted)
  if (outcome.kind === 'taken') return refused(message('source.taken'))
  if (outcome.kind === 'refused') return refused(message('source.refused', { reason: readableReason(outcome.reason) }))
  const followed = await followSourceUser(services, source, outcome.user, clientInfo)
  if (followed.kind === 'refused') return refused(message('source.taken'))
  const { identity } = followed
  if (termsVersion !== null)
    await transaction(services.storage.pool, (db) =>
      writeAcceptance(db, identity.id, termsVersion, clientInfo, services.clock()),
    )
  return { kind: 'registered', identity }
}
