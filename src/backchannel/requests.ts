import type { AppRow } from '../domain/apps/apps.ts'
import type { NewNotification } from '../storage/notifications.ts'
import type { EndCause } from '../domain/endings/end-causes.ts'
import { configuredClaims, rolesIn } from '../domain/identities/claims.ts'
import { appClaimColumnsOf, findIdentity } from '../domain/identities/identities.ts'
import { signLogoutToken } from './logout-tokens.ts'
import type { NotificationKind } from '../domain/endings/notifications.ts'
import type { Services } from '../domain/services.ts'
import { signSessionRevoked, signTokenClaimsChange } from './security-events.ts'

/** The HTTP request of one back-channel notification. */
export interface BackChannelRequest {
  uri: string
  contentType: string
  text: string
  /** The statuses with which the app confirms it. */
  accepted: number[]
}

/**
 * Makes the request of a notification when it is sent, so its token and roles are current. Null when there is nothing left to
 * send: the app has no such URI, or the user whose roles changed is gone.
 */
export async function requestOf(
  services: Services,
  notice: NewNotification,
  app: AppRow,
): Promise<BackChannelRequest | null> {
  switch (notice.kind as NotificationKind) {
    case 'logout':
      if (app.backchannelLogoutUri === null) return null
      return logoutRequest(app.backchannelLogoutUri, await signLogoutToken(services, notice, app))
    case 'session-revoked':
      if (app.eventReceiverUri === null) return null
      return eventRequest(
        app.eventReceiverUri,
        await signSessionRevoked(services, notice, notice.cause as EndCause, app),
      )
    case 'token-claims-change': {
      const identity = await findIdentity(services, notice.identityId)
      if (app.eventReceiverUri === null || identity === null) return null
      const { appRoles } = appClaimColumnsOf(app, identity)
      const roles = rolesIn(identity.roles, appRoles)
      const mapping = app.attributeClaims as Record<string, string>
      const claims = { roles, ...configuredClaims(app.applicationTokenClaims, identity, mapping, roles) }
      return eventRequest(app.eventReceiverUri, await signTokenClaimsChange(services, notice, claims, app))
    }
  }
}

/** OpenID Connect Back-Channel Logout 1.0 §2.5 and §2.8: 200; some frameworks answer 204 instead. */
function logoutRequest(uri: string, token: string): BackChannelRequest {
  const text = new URLSearchParams({ logout_token: token }).toString()
  return { uri, contentType: 'application/x-www-form-urlencoded', text, accepted: [200, 204] }
}

/** Push delivery of security event tokens (RFC 8935 §2.1, §2.2): 202, or another success status. */
function eventRequest(uri: string, token: string): BackChannelRequest {
  return { uri, contentType: 'application/secevent+jwt', text: token, accepted: [202, 200, 204] }
}
