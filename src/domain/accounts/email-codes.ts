import { createHmac, randomUUID, timingSafeEqual } from 'node:crypto'
import { findIdentity, type IdentityRow, lockIdentity } from '../../storage/identities.ts'
import { insertAuditEvents } from '../../storage/audit.ts'
import { deleteMailLinks } from '../../storage/mail-links.ts'
import { isUniqueViolation, transaction } from '../../storage/postgres.ts'
import type { ClientInfo } from '../client-info.ts'
import { takeEmailIn } from '../identities/email-ownership.ts'
import { findIdentityByLogin } from '../identities/identities.ts'
import { confirmSourceStatus } from '../identities/source-users.ts'
import type { DerivedKeys } from '../keys/secrets.ts'
import type { IpBlock } from '../limits/ip-blocks.ts'
import { loginKeyOf } from '../limits/login-keys.ts'
import { admitMailSignIn, beginAttempt, mayMail, mayMailSignIn } from '../limits/login-throttling.ts'
import { queueMail } from '../mail-jobs.ts'
import { noteRefusal } from '../refusals.ts'
import type { Services } from '../services.ts'
import { isKnownDevice, NO_IDENTITY } from '../sign-in/devices.ts'
import { plainCode } from '../sign-in/typed-codes.ts'

/** How long a code can be typed (seconds); a `SentCode` is kept no longer. */
export const EMAIL_CODE_LIFE = 600
const DIGITS = 8
/** Wrong codes after which a new one must be asked for. */
const MOST_TRIES = 5

/** A code that was asked for. It holds no secret: the code is made from it with the root secret. */
export interface SentCode {
  id: string
  /** The key of the e-mail address that it was sent to. */
  email: string
  /** Whose it is; null where no identity has the login. */
  identityId: string | null
  wrong: number
}

/** The code that is sent to this e-mail address, in two groups of digits. */
export function emailCodeOf({ secrets }: Services, sent: Pick<SentCode, 'id' | 'email'>): string {
  const code = codeWith(secrets[0], sent)
  return `${code.slice(0, DIGITS / 2)} ${code.slice(DIGITS / 2)}`
}

/**
 * Sends a code that proves the e-mail address of this identity; when it belongs to another account, that one is told, as with a
 * link. Null when the address has had too many mails in the last hour.
 */
export async function askForEmailCode(
  services: Services,
  { id: identityId, email: address }: IdentityRow,
  clientInfo: ClientInfo,
): Promise<SentCode | null> {
  if (!(await mayMail(services, address))) return null
  const sent = { id: randomUUID(), email: loginKeyOf(address), identityId, wrong: 0 }
  await queueMail(services, { kind: 'address-code', codeId: sent.id, identityId, clientInfo })
  return sent
}

/**
 * Sends a code that signs in the account with this login, where there is one. No account enumeration: whether there is one
 * changes neither the answer nor its time.
 */
export async function askForSignInCode(
  services: Services,
  { typed, clientInfo, deviceHash }: { typed: string; clientInfo: ClientInfo; deviceHash: Buffer | null },
): Promise<{ kind: 'asked'; sent: SentCode } | { kind: 'throttled'; retryAt: Date; ipBlocked: boolean }> {
  const admission = await admitMailSignIn(services, clientInfo.address)
  if (admission.kind === 'wait') return { ...admission, kind: 'throttled' }
  const owner = await findIdentityByLogin(services, typed)
  const email = owner?.emailKey ?? loginKeyOf(typed)
  // Also without an account, so that the work is the same.
  const isKnown = await isKnownDevice(services, owner?.id ?? NO_IDENTITY, deviceHash)
  const sent = { id: randomUUID(), email, identityId: owner?.id ?? null, wrong: 0 }
  if (await mayMailSignIn(services, email, isKnown ? deviceHash : null)) {
    const known = deviceHash?.toString('base64url') ?? null
    await queueMail(services, { kind: 'sign-in-code', codeId: sent.id, email, deviceHash: known, clientInfo })
  }
  return { kind: 'asked', sent }
}

export type EmailCodeOutcome =
  | { kind: 'proved'; identity: IdentityRow }
  /** `sent` takes the place of the one before: it counts the wrong codes. */
  | { kind: 'refused'; sent: SentCode; ipBlock: IpBlock | null }
  | { kind: 'throttled'; retryAt: Date; ipBlocked: boolean }

/**
 * Checks a typed code, under login throttling. A right one proves the e-mail address: an account that only claimed it loses it. The
 * caller must see to it that a code is used once.
 */
export async function useEmailCode(
  services: Services,
  sent: SentCode,
  typed: string,
  clientInfo: ClientInfo,
): Promise<EmailCodeOutcome> {
  const attempt = await beginAttempt(services, {
    kind: 'email-code',
    account: sent.email,
    ipAddress: clientInfo.address,
    knownDevice: null,
  })
  if (attempt.kind === 'wait') return { ...attempt, kind: 'throttled' }
  const isRight =
    sent.wrong < MOST_TRIES && services.secrets.some((keys) => isSame(codeWith(keys, sent), plainCode(typed)))
  const identity = isRight ? await prove(services, sent, clientInfo) : null
  if (identity === null) {
    const { identityId } = sent
    await noteRefusal(services, { kind: 'sign_in_refused', identityId, cause: 'wrong_code', clientInfo })
    return { kind: 'refused', sent: { ...sent, wrong: sent.wrong + 1 }, ipBlock: await attempt.failed() }
  }
  await attempt.succeeded()
  return { kind: 'proved', identity }
}

/** Null when the identity is disabled, has another address now, or another account has proved the address. */
async function prove(services: Services, sent: SentCode, clientInfo: ClientInfo): Promise<IdentityRow | null> {
  const { identityId } = sent
  if (identityId === null) return null
  await confirmSourceStatus(services, identityId)
  const isProved = await transaction(services.storage.pool, async (db) => {
    const now = services.clock()
    const before = await lockIdentity(db, identityId)
    if (before === null || before.disabledAt !== null || loginKeyOf(before.email) !== sent.email) return false
    if (before.emailVerified) return true
    if (!(await takeEmailIn(services, db, identityId, before.email, now))) return false
    await deleteMailLinks(db, identityId, ['verify-address'])
    await insertAuditEvents(db, [{ kind: 'address_confirmed', identityId, ...clientInfo }], now)
    return true
  }).catch((error: unknown) => {
    // Another account proved the e-mail address at the same moment.
    if (isUniqueViolation(error)) return false
    throw error
  })
  return isProved ? findIdentity(services.storage, identityId) : null
}

function codeWith({ mailLink }: DerivedKeys, { id, email }: Pick<SentCode, 'id' | 'email'>): string {
  const tag = createHmac('sha256', mailLink)
    .update(JSON.stringify(['email-code', id, email]))
    .digest()
  return String(tag.readUIntBE(0, 6) % 10 ** DIGITS).padStart(DIGITS, '0')
}

function isSame(code: string, typed: string): boolean {
  return code.length === typed.length && timingSafeEqual(Buffer.from(code), Buffer.from(typed))
}
