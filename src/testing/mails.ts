import assert from 'node:assert/strict'
import { findIdentity, findIdentityByLogin } from '../domain/identities.ts'
import { type LinkHolder, type LinkPurpose, makeMailLink } from '../domain/mail-links.ts'
import type { Mail } from '../domain/mail.ts'
import type { Portal } from '../domain/portal.ts'

/** Every mail that was queued, oldest first, sent or not. */
export async function queuedMails(portal: Portal): Promise<Mail[]> {
  const { rows } = await portal.storage.pool.query<{ data: Mail }>(
    `SELECT data FROM queue.job WHERE name = 'mail' ORDER BY created_on, id`,
  )
  return rows.map(({ data }) => data)
}

/** The newest mail of a kind. */
export async function lastMail<K extends Mail['kind']>(portal: Portal, kind: K): Promise<Extract<Mail, { kind: K }>> {
  const mail = (await queuedMails(portal)).findLast((each) => each.kind === kind)
  assert.ok(mail, `no ${kind} was queued`)
  return mail as Extract<Mail, { kind: K }>
}

/** The path of the link in the newest mail of a kind, made the way its delivery makes it. */
export async function linkInLast(
  portal: Portal,
  kind: 'verify-address' | 'change-address' | 'reset-password',
): Promise<string> {
  const mail = await lastMail(portal, kind)
  if (mail.kind === 'change-address') return linkFor(portal, kind, mail)
  const identity =
    mail.kind === 'reset-password'
      ? await findIdentityByLogin(portal, mail.email)
      : await findIdentity(portal.storage, mail.identityId)
  assert.ok(identity, `nobody gets this ${kind}`)
  return linkFor(portal, kind, { identityId: identity.id, email: identity.email })
}

/** The path of a link, whatever was queued. */
export async function linkFor(portal: Portal, purpose: LinkPurpose, holder: LinkHolder): Promise<string> {
  const token = await makeMailLink(portal, portal.storage.pool, purpose, holder)
  return `/${purpose === 'reset-password' ? 'reset-password' : 'verify-email'}/${token}`
}
