import { listUpstreamSessions } from '../../storage/upstream-sessions.ts'
import { endIdentitySessions } from '../endings/endings.ts'
import type { Services } from '../services.ts'
import type { UpstreamLogout } from '../upstream.ts'

/** The protocol record of a logout token that was used, by its provider and `jti`. */
const LOGOUT_KIND = 'UpstreamLogout'

/**
 * Ends the identity sessions that a provider opened, and the families that follow them: those of one session there, or all of an
 * account there. What the user opened otherwise stays. @returns how many ended; null for a token that was used before
 */
export async function logOutFromUpstream(
  services: Services,
  providerId: string,
  { jti, subject, sid, expiresAt }: UpstreamLogout,
): Promise<number | null> {
  const now = services.clock()
  const seconds = Math.max(1, Math.ceil((expiresAt.getTime() - now.getTime()) / 1000))
  if (!(await services.storage.protocolRecords.putOnce(LOGOUT_KIND, `${providerId} ${jti}`, {}, seconds))) return null
  const sessions = await listUpstreamSessions(services.storage.pool, providerId, { sid, subject })
  let count = 0
  for (const { id, identityId } of sessions) {
    count += await endIdentitySessions(services, { identityId, id }, 'signed_out_by_provider', null)
  }
  return count
}
