import type { Queryable } from '../storage/postgres.ts'
import type { ClientInfo } from './client-info.ts'
import type { Services } from './services.ts'

/**
 * A queued mail. Its recipient and its link are found when it is sent; times are ISO 8601. `locale`, also in `clientInfo`, is the
 * language of the browser that caused it, for a user who has chosen none.
 */
export type MailJob =
  /** To the e-mail address of an identity. When the address belongs to another account, to tell its owner of the attempt. */
  | { kind: 'verify-address'; identityId: string; locale?: string | undefined }
  /** To the account with this e-mail address, if there is one. */
  | { kind: 'reset-password'; email: string; clientInfo: ClientInfo | null }
  /**
   * To the account with this e-mail address, if there is one. The link works in the browser with this hash of its cookie alone;
   * `deviceHash` says whether the account knows that browser. Both are base64url.
   */
  | { kind: 'sign-in-link'; email: string; browserHash: string; deviceHash: string | null; clientInfo: ClientInfo }
  /** A code to type inside an app, made from `codeId`; the same as `verify-address` otherwise. */
  | { kind: 'address-code'; codeId: string; identityId: string; clientInfo: ClientInfo }
  /** The same as `sign-in-link` otherwise. */
  | { kind: 'sign-in-code'; codeId: string; email: string; deviceHash: string | null; clientInfo: ClientInfo }
  | { kind: 'password-changed'; identityId: string; clientInfo: ClientInfo | null; at: string }
  | { kind: 'registered-again'; identityId: string; clientInfo: ClientInfo; at: string }
  /** To the new address. */
  | { kind: 'change-address'; identityId: string; email: string; locale?: string | undefined }
  /** To both. */
  | { kind: 'address-changed'; identityId: string; from: string; to: string; clientInfo: ClientInfo | null; at: string }
  | { kind: 'unfamiliar-sign-in'; identityId: string; identitySessionId: string; clientInfo: ClientInfo; at: string }
  | { kind: 'family-reuse'; familyId: string; clientInfo: ClientInfo; at: string }
  | {
      kind: 'second-factor-added' | 'second-factor-removed'
      identityId: string
      /** Its kind and name, in words: "passkey “Laptop”". */
      factor: string
      clientInfo: ClientInfo | null
      at: string
    }
  | {
      kind: 'account-linked' | 'account-unlinked'
      identityId: string
      /** The name of the provider, and the e-mail address of the account there. */
      provider: string
      email: string | null
      clientInfo: ClientInfo
      at: string
    }
  /** An administrator tries out the mail server; it is not sent again. */
  | { kind: 'test'; identityId: string; at: string }
  | { kind: 'deletion-requested'; identityId: string; erasedFrom: string; clientInfo: ClientInfo | null }
  /** To the invited address, while the invitation is open. */
  | { kind: 'invitation'; invitationId: string }
  /** With the language and time zone that the identity had. */
  | { kind: 'erased'; email: string; username: string; at: string; locale?: string | null; zoneinfo?: string | null }

/** Queues a mail (transactional outbox). Inside a transaction `db` it is sent if, and only if, that commits. */
export async function queueMail(services: Services, mail: MailJob, db?: Queryable): Promise<void> {
  await services.storage.jobs.put('mail', withoutRequest(mail), db)
}

/** The id of the request is for the log alone. */
function withoutRequest(mail: MailJob): MailJob {
  if (!('clientInfo' in mail) || mail.clientInfo === null) return mail
  const { requestId: _, ...clientInfo } = mail.clientInfo
  return { ...mail, clientInfo }
}

/** A mail as it comes out of the queue; a job from before an upgrade calls `clientInfo` `place`. */
export function readMailJob(payload: unknown): MailJob {
  const { place, ...job } = payload as MailJob & { place?: ClientInfo | null }
  return (place === undefined ? job : { ...job, clientInfo: place }) as MailJob
}
