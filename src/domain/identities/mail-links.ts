import { randomUUID } from 'node:crypto'
import {
  deleteMailLinks,
  findMailLink,
  insertMailLink,
  type MailLinkRow,
  takeMailLink,
} from '../../storage/mail-links.ts'
import { lockIdentity } from '../../storage/identities.ts'
import type { Queryable } from '../../storage/postgres.ts'
import type { Services } from '../services.ts'
import { addSeconds } from '../time.ts'
import { bytesOfUuid, uuidOf } from '../uuid.ts'
import { makeLinkToken, readLinkToken } from './link-tokens.ts'

export type { MailLinkRow }

const MINUTE = 60
const HOUR = 60 * MINUTE

/** What a link may do, and how long (seconds). */
export const LINK_LIVES = {
  'verify-address': 24 * HOUR,
  'change-address': 24 * HOUR,
  'reset-password': HOUR,
  'sign-in': 10 * MINUTE,
  'disown-sign-in': 7 * 24 * HOUR,
} as const

export type LinkPurpose = keyof typeof LINK_LIVES

/** The identity a link belongs to, and the e-mail address it is sent to. */
export interface LinkHolder {
  identityId: string
  email: string
  identitySessionId?: string
  /** The only browser in which it will work, by the hash of its cookie. */
  browserHash?: Buffer
}

/**
 * Makes a link, and deletes the earlier ones for the same purpose: only the newest mail counts. Each sign-in has its own "this
 * wasn't me" link. The row keeps an id; the token is the id with an HMAC tag. `db` must be a transaction, or two callers that
 * race could both keep theirs.
 */
export async function makeMailLink(
  services: Services,
  db: Queryable,
  purpose: LinkPurpose,
  { identityId, email, identitySessionId, browserHash }: LinkHolder,
): Promise<string> {
  const id = randomUUID()
  const now = services.clock()
  if (purpose !== 'disown-sign-in') {
    await lockIdentity(db, identityId)
    await deleteMailLinks(db, identityId, [purpose])
  }
  await insertMailLink(db, {
    id,
    purpose,
    identityId,
    email,
    identitySessionId: identitySessionId ?? null,
    browserHash: browserHash ?? null,
    createdAt: now,
    expiresAt: addSeconds(now, LINK_LIVES[purpose]),
  })
  return makeLinkToken(services, purpose, bytesOfUuid(id))
}

/** What the link would do; this does not use it up. Null for one that is used, expired, forged or incomplete. */
export async function lookAtMailLink(
  services: Services,
  purpose: LinkPurpose,
  token: string,
): Promise<MailLinkRow | null> {
  const id = readToken(services, purpose, token)
  return id === null ? null : findMailLink(services.storage.pool, purpose, id, services.clock())
}

/** Uses the link up, inside the transaction of what it does: exactly one of the callers that race gets it. */
export async function useMailLink(
  services: Services,
  db: Queryable,
  purpose: LinkPurpose,
  token: string,
): Promise<MailLinkRow | null> {
  const id = readToken(services, purpose, token)
  return id === null ? null : takeMailLink(db, purpose, id, services.clock())
}

function readToken(services: Services, purpose: LinkPurpose, token: string): string | null {
  const id = readLinkToken(services, purpose, token)
  return id && uuidOf(id)
}
