import { countHolders } from '../storage/identities.ts'
import { countMails } from './accounts/failed-mails.ts'
import { countNotifications } from './endings/notifications.ts'
import { ADMIN } from './identities/roles.ts'
import type { Services } from './services.ts'
import { secondsBetween } from './time.ts'

export const WARNING_CODES = [
  'open_registration',
  'mails_waiting',
  'mails_failed',
  'notifications_waiting',
  'notifications_given_up',
  'old_signing_keys',
  'last_administrator',
] as const

export interface Warning {
  code: (typeof WARNING_CODES)[number]
  count: number | null
}

/** How long mails and notifications may wait, and how old a key that signs may be (seconds). */
const MAILS_WAIT = 900
const NOTIFICATIONS_WAIT = 3600
const OLD_KEY = 365 * 86_400

/** What an operator should look after, as far as it is quickly found out. */
export async function listWarnings(services: Services): Promise<Warning[]> {
  const now = services.clock()
  const [mails, notifications, keys, administrators] = await Promise.all([
    countMails(services),
    countNotifications(services),
    services.keys.list(null),
    countHolders(services.storage.pool, ADMIN, 2),
  ])
  const isOlder = (date: Date | null, seconds: number) => date !== null && secondsBetween(date, now) > seconds
  const givenUp = notifications.reduce((sum, each) => sum + each.givenUp, 0)
  const late = notifications.filter(({ oldest }) => isOlder(oldest, NOTIFICATIONS_WAIT))
  const old = keys.filter(({ state, signsFrom }) => state === 'signing' && isOlder(signsFrom, OLD_KEY))
  // In development it is open by default.
  const isOpen = services.policy.registration === 'open' && services.publicUrl.startsWith('https:')
  const warnings: [Warning['code'], boolean, number | null][] = [
    ['open_registration', isOpen, null],
    ['mails_waiting', isOlder(mails.open.oldest, MAILS_WAIT), mails.open.count],
    ['mails_failed', mails.failed.count > 0, mails.failed.count],
    ['notifications_waiting', late.length > 0, late.length],
    ['notifications_given_up', givenUp > 0, givenUp],
    ['old_signing_keys', old.length > 0, old.length],
    ['last_administrator', administrators === 1, null],
  ]
  return warnings.flatMap(([code, isDue, count]) => (isDue ? [{ code, count }] : []))
}
