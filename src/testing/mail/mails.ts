import assert from 'node:assert/strict'
import { setTimeout as wait } from 'node:timers/promises'
import { type LinkHolder, type LinkPurpose, makeMailLink } from '../../domain/identities/mail-links.ts'
import type { MailJob } from '../../domain/mail-jobs.ts'
import type { Services } from '../../domain/services.ts'
import { transaction } from '../../storage/postgres.ts'
import { linksIn } from './links.ts'
import { listMails } from './outbox.ts'
import type { TestServer } from '../portal/server.ts'

const PATIENCE_MS = 15_000
const BETWEEN_LOOKS_MS = 20

/** Every queued mail (of this kind, if given), oldest first, delivered or not. */
export async function queuedMails<K extends MailJob['kind']>(
  services: Services,
  kind?: K,
): Promise<Extract<MailJob, { kind: K }>[]> {
  const mails = (await listJobs(services)).map(({ data }) => data as Extract<MailJob, { kind: K }>)
  return mails.filter((mail) => kind === undefined || mail.kind === kind)
}

/** The newest mail of a kind. */
export async function lastMail<K extends MailJob['kind']>(
  services: Services,
  kind: K,
): Promise<Extract<MailJob, { kind: K }>> {
  return (await lastJob(services, kind)).data as Extract<MailJob, { kind: K }>
}

/** The path of the first link in the newest mail of a kind, once it has been delivered. */
export async function linkInLast({ services, mailFolder }: TestServer, kind: MailJob['kind']): Promise<string> {
  const { id } = await lastJob(services, kind)
  for (const start = performance.now(); performance.now() - start < PATIENCE_MS; await wait(BETWEEN_LOOKS_MS)) {
    const [letter] = await listMails(mailFolder, (name) => name.endsWith(`-${id}-0`))
    if (letter !== undefined) return new URL(linksIn(letter.text)[0] as string).pathname
  }
  throw new Error(`the last ${kind} was not delivered`)
}

/** The path of a link that no mail has, for this purpose. */
export async function linkFor(services: Services, purpose: LinkPurpose, holder: LinkHolder): Promise<string> {
  const token = await transaction(services.storage.pool, async (db) => makeMailLink(services, db, purpose, holder))
  return `/${purpose === 'reset-password' ? 'reset-password' : 'verify-email'}/${token}`
}

interface QueuedMail {
  id: string
  data: MailJob
}

async function listJobs({ storage: { pool } }: Services): Promise<QueuedMail[]> {
  // The queue is created by its first job.
  const { rows: made } = await pool.query(`SELECT 1 WHERE to_regclass('queue.job') IS NOT NULL`)
  if (made.length === 0) return []
  const { rows } = await pool.query<QueuedMail>(
    `SELECT id, data FROM queue.job WHERE name = 'mail' ORDER BY created_on, id`,
  )
  return rows
}

async function lastJob(services: Services, kind: MailJob['kind']): Promise<QueuedMail> {
  const job = (await listJobs(services)).findLast(({ data }) => data.kind === kind)
  assert.ok(job, `no ${kind} was queued`)
  return job
}
