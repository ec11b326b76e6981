import { insertAuditEvents } from '../../storage/audit.ts'
import {
  countFailedMails,
  type FailedMailRow,
  insertFailedMail,
  listFailedMails as listRows,
  takeFailedMails,
} from '../../storage/failed-mails.ts'
import { findIdentity, findIdentityByKey } from '../../storage/identities.ts'
import { transaction } from '../../storage/postgres.ts'
import { loginKeyOf } from '../limits/login-keys.ts'
import { type MailJob, queueMail, readMailJob } from '../mail-jobs.ts'
import { Refused } from '../refused.ts'
import type { Services } from '../services.ts'

/** A mail that was given up can be sent again for so long (seconds); it names a person, so it is not kept. */
export const FAILED_MAILS_KEPT = 7 * 86_400
/** Mails that one transaction sends again. */
const BATCH = 200
/** Counting ends there. */
const MOST_COUNTED = 10_000

export type FailedMail = Omit<FailedMailRow, 'payload'>

/** Keeps a mail that was given up, so that an operator sees why and can send it again. */
export async function keepFailedMail(services: Services, id: string, mail: MailJob, problem: string): Promise<void> {
  const identity = await identityOf(services, mail)
  await insertFailedMail(services.storage.pool, {
    id,
    identityId: identity?.id ?? null,
    kind: mail.kind,
    recipient: recipientOf(mail) ?? identity?.email ?? null,
    payload: mail,
    problem,
    failedAt: services.clock(),
  })
}

async function identityOf({ storage }: Services, mail: MailJob) {
  if ('identityId' in mail) return findIdentity(storage, mail.identityId)
  // The account of an erased user's mail is gone; its address may be another one's by now.
  return 'email' in mail && mail.kind !== 'erased' ? findIdentityByKey(storage, loginKeyOf(mail.email)) : null
}

function recipientOf(mail: MailJob): string | null {
  if ('email' in mail) return mail.email
  return mail.kind === 'address-changed' ? mail.to : null
}

/** How many mails wait and were given up, and since when; each number ends at 10,000. */
export async function countMails(services: Services) {
  const [open, failed] = await Promise.all([
    services.storage.jobs.countOpen('mail', MOST_COUNTED),
    countFailedMails(services.storage.pool, MOST_COUNTED),
  ])
  return { open, failed }
}

/** Mails that were given up, newest first; `before` is the key to go on from. */
export async function listFailedMails(
  services: Services,
  before: { failedAt: Date; id: string } | null,
  limit: number,
): Promise<FailedMail[]> {
  return listRows(services.storage.pool, before, limit)
}

/** Sends mails again that were given up: these, or all. A mail with a link gets a new one. @returns how many */
export async function resendMails(services: Services, ids: string[] | null): Promise<number> {
  let sent = 0
  let taken
  do {
    taken = await transaction(services.storage.pool, async (db) => {
      const mails = await takeFailedMails(db, ids, BATCH)
      for (const { payload } of mails) await queueMail(services, readMailJob(payload), db)
      const event = { kind: 'mails_resent' as const, detail: String(mails.length), actor: services.operator }
      await insertAuditEvents(db, mails.length === 0 ? [] : [event], services.clock())
      return mails.length
    })
    sent += taken
  } while (taken === BATCH)
  return sent
}

/** Sends a mail to an identity, to try out the mail server. It is tried once, and is among the failed ones when that fails. */
export async function sendTestMail(services: Services, identityId: string): Promise<{ email: string }> {
  const identity = await findIdentity(services.storage, identityId)
  if (identity === null) throw new Refused(`there is no identity ${identityId}`, 'not_found')
  const now = services.clock()
  await transaction(services.storage.pool, async (db) => {
    await queueMail(services, { kind: 'test', identityId, at: now.toISOString() }, db)
    await insertAuditEvents(db, [{ kind: 'test_mail_sent', actor: services.operator }], now)
  })
  return { email: identity.email }
}
