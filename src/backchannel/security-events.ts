import type { NewNotification } from '../storage/notifications.ts'
import type { AppRow } from '../domain/apps/apps.ts'
import { type EndCause, endWords } from '../domain/endings/end-causes.ts'
import { findFamily } from '../domain/families/families.ts'
import { englishTexts } from '../i18n/texts.ts'
import { signJwtInBackground } from '../domain/keys/jwts.ts'
import { subjectIn } from '../domain/identities/subjects.ts'
import type { Services } from '../domain/services.ts'
import { signerFor } from '../domain/keys/shared-keys.ts'
import { epochSeconds } from '../domain/time.ts'

/** What happened to a family, and the notification id that all attempts share. */
export type FamilyEvent = Pick<NewNotification, 'id' | 'identityId' | 'familyId' | 'sid' | 'happenedAt'>

const CAEP = 'https://schemas.openid.net/secevent/caep/event-type/'

/** CAEP session revoked (CAEP 1.0 §3.1): a family has ended, by which initiator and for which reason. */
export async function signSessionRevoked(
  services: Services,
  event: FamilyEvent,
  cause: EndCause,
  app: AppRow,
): Promise<string> {
  const address = await addressOfEnd(services, event, cause)
  const words = englishTexts().say(endWords(cause, address))
  return signEvent(services, event, app, 'session-revoked', {
    initiating_entity: cause === 'access_withdrawn' && address === null ? 'admin' : INITIATORS[cause],
    reason_admin: { en: `${cause}: ${words}` },
    reason_user: { en: words },
  })
}

/** The IP address that a family was ended from, where it tells who did it: users and operators withdraw access. */
async function addressOfEnd(services: Services, { familyId }: FamilyEvent, cause: EndCause): Promise<string | null> {
  if (cause !== 'access_withdrawn') return null
  return (await findFamily(services, familyId))?.endAddress ?? null
}

/**
 * CAEP token claims change (CAEP 1.0 §3.2): the claims of the family's next application token, so that the app refreshes now.
 */
export async function signTokenClaimsChange(
  services: Services,
  event: FamilyEvent,
  claims: Record<string, unknown>,
  app: AppRow,
): Promise<string> {
  return signEvent(services, event, app, 'token-claims-change', { initiating_entity: 'admin', claims })
}

/**
 * A security event token (RFC 8417), signed with the app's ID token algorithm. Its subject is in `sub_id` (RFC 9493), and it
 * has no `sub` and no `exp`, so it cannot pass for an ID token (Shared Signals Framework 1.0). `fam` is our extension.
 */
async function signEvent(
  services: Services,
  event: FamilyEvent,
  app: AppRow,
  type: string,
  about: object,
): Promise<string> {
  return signJwtInBackground(signerFor(services, app.idTokenAlg, app), 'event', {
    iss: services.publicUrl,
    iat: epochSeconds(services.clock()),
    jti: event.id,
    aud: app.clientId,
    sub_id: {
      format: 'complex',
      user: { format: 'iss_sub', iss: services.publicUrl, sub: subjectIn(services, app, event.identityId) },
      // The user alone would mean all their sessions. An app without a `sid` knows the family from its application tokens.
      session: { format: 'opaque', id: event.sid ?? event.familyId },
    },
    fam: event.familyId,
    events: { [`${CAEP}${type}`]: { event_timestamp: epochSeconds(event.happenedAt), ...about } },
  })
}

/** The initiating entity (CAEP 1.0 §2): the user, an operator, a rule of the portal, or a program. */
const INITIATORS: Record<EndCause, 'user' | 'admin' | 'policy' | 'system'> = {
  signed_out: 'user',
  signed_out_everywhere: 'user',
  other_sign_ins_ended: 'user',
  ended_by_person: 'user',
  disconnected: 'user',
  access_withdrawn: 'user',
  session_ended: 'user',
  signed_in_again: 'user',
  replaced: 'policy',
  revoked_by_app: 'system',
  signed_out_by_app: 'user',
  signed_out_by_provider: 'user',
  password_changed: 'user',
  password_reset: 'user',
  reuse: 'policy',
  own_reuse: 'policy',
  code_reuse: 'policy',
  disowned: 'user',
  expired: 'policy',
  idle_expired: 'policy',
  session_expired: 'policy',
  identity_disabled: 'admin',
  identity_deleted: 'user',
  app_disabled: 'admin',
  app_deleted: 'admin',
  moved: 'admin',
  operator: 'admin',
}
