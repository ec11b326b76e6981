import { type Finding, finding } from '../domain/findings.ts'
import { ADMIN } from '../domain/identities/roles.ts'
import { secondsBetween } from '../domain/time.ts'
import { listAppsWithTokenKey } from '../storage/apps.ts'
import { countFailedMails } from '../storage/failed-mails.ts'
import { countHolders } from '../storage/identities.ts'
import { countOpenNotifications } from '../storage/notifications.ts'
import { listRootSecrets } from '../storage/root-secrets.ts'
import { listSigningKeys } from '../storage/signing-keys.ts'
import type { Patient } from './patient.ts'
import { NEW_SECRET } from './settings.ts'

/** How long mails and notifications may wait, and how old a key that signs may be (seconds). */
const MAILS_WAIT = 900
const NOTIFICATIONS_WAIT = 3600
const OLD_KEY = 365 * 86_400
const OLD_SECRET = 2 * 365 * 86_400
/** A worker takes a mail within a second. */
const WORKER_WAIT = 120
/** Counting ends there. */
const MOST_COUNTED = 10_000

/** Mails and notifications that wait or were given up. */
export async function examineQueues({ config, storage, clock }: Patient): Promise<Finding[]> {
  const [mails, failed, notifications] = await Promise.all([
    storage.jobs.countOpen('mail', MOST_COUNTED),
    countFailedMails(storage.pool, MOST_COUNTED),
    countOpenNotifications(storage.pool, MOST_COUNTED),
  ])
  const now = clock()
  const hasWaited = (since: Date | null, seconds: number) => since !== null && secondsBetween(since, now) > seconds
  const found: Finding[] = []
  const oldest = [mails.oldest, ...notifications.map((each) => each.oldest)]
  if (!config.inProcessWorker && oldest.some((since) => hasWaited(since, WORKER_WAIT)))
    found.push(
      finding(
        'worker_missing',
        'IN_PROCESS_WORKER is false, and what waits has waited for more than two minutes: no worker runs.',
        'gatehouse worker',
      ),
    )
  if (hasWaited(mails.oldest, MAILS_WAIT))
    found.push(
      finding(
        'mails_waiting',
        `${mails.count === 1 ? 'A mail has' : `${mails.count} mails wait, and one has`} waited for more than 15 minutes: the mail server does not take it.`,
        'SMTP_URL=smtps://user:password@mail.example.com',
      ),
    )
  if (failed.count > 0)
    found.push(
      finding(
        'mails_failed',
        `${failed.count === 1 ? 'One mail was' : `${failed.count} mails were`} given up in the last seven days.`,
        'send them again, or delete them, at /admin/queues',
      ),
    )
  for (const { clientId, waiting, oldest: since, givenUp } of notifications) {
    if (hasWaited(since, NOTIFICATIONS_WAIT))
      found.push(
        finding(
          'notifications_waiting',
          `${clientId} has not taken a notification for more than an hour; ${waiting} wait.`,
          `gatehouse notification list --app ${clientId}`,
        ),
      )
    if (givenUp > 0)
      found.push(
        finding(
          'notifications_given_up',
          `${givenUp === 1 ? 'One notification' : `${givenUp} notifications`} to ${clientId} ${givenUp === 1 ? 'was' : 'were'} given up.`,
          `gatehouse notification resend --app ${clientId}`,
        ),
      )
  }
  return found
}

/** Apps that share a key with the portal. */
export async function examineTokenKeys({ storage }: Patient): Promise<Finding[]> {
  return (await listAppsWithTokenKey(storage)).map((clientId) =>
    finding(
      'shared_token_key',
      `Tokens of ${clientId} are signed with HS256, a key that it shares: what can verify them can forge them.`,
      `gatehouse app update ${clientId} --id-token-alg RS256 --application-token-alg ES256`,
    ),
  )
}

/** Keys are replaced on a schedule, unless that is off. */
export async function examineKeys({ config, storage, clock }: Patient): Promise<Finding[]> {
  const now = clock()
  const keys = (await listSigningKeys(storage.pool)).filter(({ revokedAt }) => revokedAt === null)
  const signing = [...Map.groupBy(keys, ({ alg }) => alg).values()].flatMap(
    (ofAlg) => ofAlg.findLast(({ signsFrom }) => signsFrom <= now) ?? [],
  )
  const old = signing.filter(({ signsFrom }) => secondsBetween(signsFrom, now) > OLD_KEY)
  if (old.length === 0) return []
  const change = config.policy.keyRotation === null ? 'KEY_ROTATION=90d' : 'gatehouse keys rotate'
  const words = old.map(({ alg, signsFrom }) => `${alg} since ${signsFrom.toISOString().slice(0, 10)}`)
  return [finding('old_signing_keys', `Signing keys are older than a year: ${words.join(', ')}.`, change)]
}

/** How long the root secret has signed. */
export async function examineSecretAge({ secrets: [{ id }], storage, clock }: Patient): Promise<Finding[]> {
  const signing = (await listRootSecrets(storage.pool)).find((each) => each.id === id)
  const since = signing?.firstSignedAt ?? null
  if (since === null || secondsBetween(since, clock()) <= OLD_SECRET) return []
  const sentence = `GATEHOUSE_SECRET has been the same since ${since.toISOString().slice(0, 10)}, for more than two years.`
  return [finding('old_secret', sentence, NEW_SECRET)]
}

export async function examineAdministrators({ storage }: Patient): Promise<Finding[]> {
  const administrators = await countHolders(storage.pool, ADMIN, 2)
  if (administrators > 1) return []
  return administrators === 0
    ? [
        finding(
          'no_administrator',
          'No account has the role admin: only the command line administers this portal.',
          'gatehouse admin invite you@example.com',
        ),
      ]
    : [
        finding(
          'last_administrator',
          'There is one administrator alone: if they lose access, only the command line helps.',
          'gatehouse admin invite colleague@example.com',
        ),
      ]
}
