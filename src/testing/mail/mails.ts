import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import { type LinkHolder, type LinkPurpose, makeMailLink } from '../../domain/identities/mail-links.ts'
import type { Mail } from '../../domain/mail-jobs.ts'
import type { Portal } from '../../domain/services.ts'
import { listOutbox } from '../../mail/mail-folder.ts'
import { transaction } from '../../storage/postgres.ts'
import { linksIn } from './links.ts'
import type { TestServer } from '../portal/server.ts'

const PATIENCE_MS = 15_000
const BETWEEN_LOOKS_MS = 20

/** Every mail, of this kind if one is named, that was queued, oldest first, sent or not. */
export async function queuedMails<K extends Mail['kind']>(
  portal: Portal,
  kind?: K,
): Promise<Extract<Mail, { kind: K }>[]> {
  const mails = (await listJobs(portal)).map(({ data }) => data as Extract<Mail, { kind: K }>)
  return mails.filter((mail) => kind === undefined || mail.kind === kind)
}

/** The newest mail of a kind. */
export async function lastMail<K extends Mail['kind']>(portal: Portal, kind: K): Promise<Extract<Mail, { kind: K }>> {
  return (await lastJob(portal, kind)).data as Extract<Mail, { kind: K }>
}

/** The path of the first link in the newest mail of a kind, once that has been delivered. */
export async function linkInLast({ portal, outbox }: TestServer, kind: Mail['kind']): Promise<string> {
  const { id } = await lastJob(portal, kind)
  for (const start = performance.now(); performance.now() - start < PATIENCE_MS; await wait(BETWEEN_LOOKS_MS)) {
    const letter = (await listOutbox(outbox, Infinity)).find(({ name }) => name.endsWith(`-${id}-0`))
    if (letter !== undefined) return new URL(linksIn(letter.text)[0] as string).pathname
  }
  throw new Error(`the last ${kind} was not delivered`)
}

/** The path of a link that no mail has: the one a mail of this purpose would have. */
export async function linkFor(portal: Portal, purpose: LinkPurpose, holder: LinkHolder): Promise<string> {
  const token = await transaction(portal.storage.pool, async (db) => makeMailLink(portal, db, purpose, holder))
  return `/${purpose === 'reset-password' ? 'reset-password' : 'verify-email'}/${token}`
}

interface MailJob {
  id: string
  data: Mail
}

async function listJobs({ storage: { pool } }: Portal): Promise<MailJob[]> {
  // The queue is made when something is first put there.
  const { rows: made } = await pool.query(`SELECT 1 WHERE to_regclass('queue.job') IS NOT NULL`)
  if (made.length === 0) return []
  const { rows } = await pool.query<MailJob>(
    `SELECT id, data FROM queue.job WHERE name = 'mail' ORDER BY created_on, id`,
  )
  return rows
}

async function lastJob(portal: Portal, kind: Mail['kind']): Promise<MailJob> {
  const job = (await listJobs(portal)).findLast(({ data }) => data.kind === kind)
  assert.ok(job, `no ${kind} was queued`)
  return job
}
