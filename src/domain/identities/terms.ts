import { insertAuditEvents } from '../../storage/audit.ts'
import { updateAcceptedTerms } from '../../storage/identities.ts'
import type { Queryable } from '../../storage/postgres.ts'
import type { ClientInfo } from '../client-info.ts'
import type { Services } from '../services.ts'

/**
 * True for a user who must accept the terms of use before going on: the operator asks for a version of them, and the user has
 * accepted another one, or none. Connected apps stay connected.
 */
export function owesTerms({ brand }: Services, identity: { termsVersion: string | null }): boolean {
  return brand.termsVersion !== null && identity.termsVersion !== brand.termsVersion
}

/** Stores which version of the terms of use was accepted, with the audit event. */
export async function writeAcceptance(
  db: Queryable,
  identityId: string,
  version: string,
  clientInfo: ClientInfo | null,
  now: Date,
): Promise<void> {
  await updateAcceptedTerms(db, identityId, version, now)
  await insertAuditEvents(db, [{ kind: 'terms_accepted', identityId, detail: version, ...clientInfo }], now)
}
