/**
 * The SQL conditions of what lives. `f` is a family, `s` an identity session, `i` an identity, `a` an app; `now` and
 * `seenSince` name the parameters of a `Moment`. `endCauseOf` in domain/families/family-ends.ts gives the same verdict on a
 * row, with the cause.
 */

/** The current time, and the oldest `last_seen_at` of an identity session that is not idle. */
export interface Moment {
  now: Date
  seenSince: Date
}

/** Neither disabled nor deleted by its owner. */
export const IDENTITY_LIVES = 'i.disabled_at IS NULL AND i.erased_from IS NULL'

export const APP_LIVES = 'a.disabled_at IS NULL'

/**
 * The user may enter the app: it is for everyone, or the user has a role in it, or one of its roles or groups. An app that is for
 * everyone costs one comparison. `mayEnter` in domain/identities/entitlements.ts says the same.
 */
export const MAY_ENTER =
  "(a.access = 'everyone' OR i.roles && a.allowed_roles OR i.group_ids && a.allowed_groups OR i.app_roles ? a.client_id)"

/** Not ended, and neither older than its end nor unseen for too long. */
export const sessionLives = (now: string, seenSince: string) =>
  `s.ended_at IS NULL AND s.expires_at > ${now} AND s.last_seen_at > ${seenSince}`

/** Whether a family lives as far as its identity session decides that: it follows none, or a living one. */
export const followsLiving = (now: string, seenSince: string) => `(f.lifetime <> 'session' OR EXISTS (
  SELECT FROM identity_sessions s WHERE s.id = f.identity_session_id AND ${sessionLives(now, seenSince)}))`

/** The family itself, its identity, its app, and whether the one may enter the other; `follows` is what its identity session says. */
export const familyLives = (now: string, follows: string) =>
  `f.ended_at IS NULL AND f.idle_expires_at > ${now} AND f.expires_at > ${now} AND ${follows} AND ${IDENTITY_LIVES} AND ${APP_LIVES} AND ${MAY_ENTER}`
