import type { NewAuditRow } from '../storage/audit.ts'

export type { AuditKind, PersonalKind } from '../storage/audit-kinds.ts'

export type AuditEvent = NewAuditRow

/** The detail of a refused sign-in in a browser that this very identity has signed in from before. */
export const KNOWN_BROWSER = 'known'

/** What a signed-in user was asked to confirm when a wrong password or second factor was entered. */
export type Confirmation = 'password-change' | 'identity' | 'second-factor'
