import type { NewNotification } from '../storage/notifications.ts'
import type { AppRow } from '../domain/apps/apps.ts'
import { signJwtInBackground } from '../domain/keys/jwts.ts'
import { subjectIn } from '../domain/identities/subjects.ts'
import type { Services } from '../domain/services.ts'
import { signerFor } from '../domain/keys/shared-keys.ts'
import { epochSeconds } from '../domain/time.ts'

/** What a logout token is about: an ended family, and the notification id that all attempts share. */
export type EndedDelegation = Pick<NewNotification, 'id' | 'identityId' | 'familyId' | 'sid'>

/** How long a logout token is valid (seconds). Every attempt signs a new one. */
const TTL = 120

/**
 * A logout token (OpenID Connect Back-Channel Logout 1.0 §2.4), signed with the app's ID token algorithm, and without a nonce.
 * `fam` is our extension: the family id in its application tokens, for an app that stores no `sid`.
 */
export async function signLogoutToken(services: Services, ended: EndedDelegation, app: AppRow): Promise<string> {
  const iat = epochSeconds(services.clock())
  return signJwtInBackground(signerFor(services, app.idTokenAlg, app), 'logout', {
    iss: services.publicUrl,
    sub: subjectIn(services, app, ended.identityId),
    aud: app.clientId,
    iat,
    exp: iat + TTL,
    jti: ended.id,
    ...(ended.sid === null ? {} : { sid: ended.sid }),
    fam: ended.familyId,
    events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
  })
}
