import type { Queryable } from '../storage/postgres.ts'
import type { Place } from './client-info.ts'
import type { Portal } from './services.ts'

/** What people are told by mail. Who gets it, and with which link, is found out when it is sent; times are ISO 8601. */
export type Mail =
  /** To the address of an identity; or to whoever had that address before, that somebody else wants it. */
  | { kind: 'verify-address'; identityId: string }
  /** To whoever has this address, if anybody has. */
  | { kind: 'reset-password'; email: string; place: Place }
  | { kind: 'password-changed'; identityId: string; place: Place | null; at: string }
  /** To the new address. */
  | { kind: 'change-address'; identityId: string; email: string }
  /** To both. */
  | { kind: 'address-changed'; identityId: string; from: string; to: string; place: Place; at: string }
  | { kind: 'unfamiliar-sign-in'; identityId: string; identitySessionId: string; place: Place; at: string }
  | { kind: 'family-reuse'; familyId: string; place: Place; at: string }
  | {
      kind: 'second-factor-added' | 'second-factor-removed'
      identityId: string
      /** Its kind and name, in words: "passkey “Laptop”". */
      factor: string
      place: Place | null
      at: string
    }
  | { kind: 'deletion-requested'; identityId: string; erasedFrom: string; place: Place | null }
  | { kind: 'erased'; email: string; username: string; at: string }

/** Queues a mail. Inside a transaction it leaves when, and only when, that commits. */
export async function queueMail(portal: Portal, mail: Mail, db?: Queryable): Promise<void> {
  await portal.storage.jobs.put('mail', mail, db)
}
