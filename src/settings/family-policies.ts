/**
 * What a family follows. `session`: its identity session, so that all of them end together, by time too. `browser`: signing
 * out of its browser ends it, a browser that merely idles does not. `offline`: it outlives both, until a person, an app or an
 * operator ends it.
 */
export const FAMILY_LIFETIMES = ['session', 'browser', 'offline'] as const
export type FamilyLifetime = (typeof FAMILY_LIFETIMES)[number]

/** Whether a sign-in in the same browser extends the expiry of living families. What follows its session is always extended. */
export const FAMILY_RENEWALS = ['never', 'sign-in'] as const
export type FamilyRenewal = (typeof FAMILY_RENEWALS)[number]
