import { Counter, Gauge, Histogram, type Instrument, type MetricSnapshot } from './instruments.ts'
import type { Counted } from './tally.ts'

/** How a request to refresh was answered. `failed` is a 5xx, such as while a store is away. */
export const REFRESH_OUTCOMES = ['rotated', 'grace', 'refused', 'failed'] as const
export type RefreshOutcome = (typeof REFRESH_OUTCOMES)[number]

/** Why a refresh was refused: what the family or its token is, or an error of the request itself (RFC 6749 §5.2). */
export const REFRESH_REFUSALS = [
  'unknown',
  'expired',
  'reused',
  'revoked',
  'identity_disabled',
  'app_disabled',
  'access_withdrawn',
  'invalid_client',
  'invalid_request',
  'invalid_scope',
  'invalid_target',
  'invalid_proof',
  'unauthorized_client',
  'throttled',
  'other',
] as const
export type RefreshRefusal = (typeof REFRESH_REFUSALS)[number]

/** `overloaded`: too many passwords waited to be hashed. `source_unavailable`: the identity source did not answer. */
export const SIGN_IN_OUTCOMES = ['signed_in', 'refused', 'throttled', 'overloaded', 'source_unavailable'] as const
export type SignInOutcomeCounted = (typeof SIGN_IN_OUTCOMES)[number]

/** The result of one request to an app, and `given_up` where none follows. */
export const NOTIFICATION_OUTCOMES = ['accepted', 'refused', 'unreachable', 'given_up'] as const
export const MAIL_OUTCOMES = ['sent', 'failed', 'given_up'] as const

/** Bounds of what is fast, and of what a user notices (seconds). */
const FAST = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]
const REQUESTS = [0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]

/** What a gauge is read from. */
export interface Watched {
  hashing: { running: number; waiting: number }
  pool: { busy: number; idle: number; waiting: number }
}

/**
 * Everything that `/metrics` shows of one process, beside what Node.js knows of itself. Label values come from closed lists, from
 * the table of routes, or are ids of apps that exist, so no client adds a series.
 */
export class Metrics {
  readonly requests = new Counter('gatehouse_http_requests_total', 'Answered requests.', ['route', 'method', 'status'])
  readonly requestSeconds = new Histogram(
    'gatehouse_http_request_duration_seconds',
    'From the headers of a request to the end of its answer.',
    REQUESTS,
    ['route'],
  )
  readonly refreshes = new Counter('gatehouse_refreshes_total', 'Answered requests to refresh.', ['outcome'])
  readonly refreshRefusals = new Counter('gatehouse_refresh_refusals_total', 'Refused requests to refresh.', ['reason'])
  readonly signIns = new Counter('gatehouse_sign_ins_total', 'Sign-ins, and attempts that failed.', [
    'outcome',
    'method',
  ])
  readonly hashingWait = new Histogram(
    'gatehouse_password_hashing_wait_seconds',
    'How long a password waited for its turn to be hashed.',
    FAST,
  )
  readonly hashingRefused = new Counter(
    'gatehouse_password_hashing_refused_total',
    'Passwords that were not hashed because too many waited.',
  )
  readonly storeSeconds = new Histogram(
    'gatehouse_store_duration_seconds',
    'How long a statement or command took.',
    FAST,
    ['store', 'outcome'],
  )
  readonly poolWait = new Histogram(
    'gatehouse_pool_wait_seconds',
    'How long a statement or transaction waited for a connection to PostgreSQL.',
    FAST,
  )
  readonly notifications = new Counter('gatehouse_back_channel_notifications_total', 'Attempts to notify an app.', [
    'app',
    'outcome',
  ])
  readonly mails = new Counter('gatehouse_mails_total', 'Attempts to send a mail.', ['outcome'])

  readonly #appRefreshes = new Counter('gatehouse_app_refreshes_total', 'Refreshes of authenticated apps.', [
    'app',
    'outcome',
  ])
  readonly #reuses = new Counter(
    'gatehouse_refresh_token_reuses_total',
    'Families that ended because a refresh token was used again.',
    ['app'],
  )
  readonly #opened = new Counter('gatehouse_families_opened_total', 'Families that were opened.', ['app'])
  readonly #ended = new Counter('gatehouse_families_ended_total', 'Families that have ended.', ['app'])
  #gauges: Gauge[] = []

  constructor() {
    // A counter that appears with its first event shows no rate for it.
    for (const outcome of REFRESH_OUTCOMES) this.refreshes.add([outcome], 0)
    for (const reason of REFRESH_REFUSALS) this.refreshRefusals.add([reason], 0)
    for (const outcome of SIGN_IN_OUTCOMES) this.signIns.add([outcome, 'password'], 0)
    for (const outcome of MAIL_OUTCOMES) this.mails.add([outcome], 0)
  }

  /** What `services.tally` counts of apps. */
  countTallied(kind: Counted, clientId: string, count: number): void {
    switch (kind) {
      case 'refresh':
        return this.#appRefreshes.add([clientId, 'rotated'], count)
      case 'refused_refresh':
        return this.#appRefreshes.add([clientId, 'refused'], count)
      case 'reuse':
        return this.#reuses.add([clientId], count)
      case 'family_opened':
        return this.#opened.add([clientId], count)
      case 'family_ended':
        return this.#ended.add([clientId], count)
      // With their methods, sign-ins are `signIns`; what the doctor looks for is no metric.
      case 'sign_in':
      case 'failed_sign_in':
      case 'forwarded_for_ignored':
        return
    }
  }

  /** Shows what waits for its turn, and what is in use. */
  watch(read: () => Watched): void {
    this.#gauges = [
      new Gauge('gatehouse_password_hashing', 'Passwords that are hashed, and that wait for it.', 'state', () => {
        return { ...read().hashing }
      }),
      new Gauge('gatehouse_pool_connections', 'Connections to PostgreSQL.', 'state', () => {
        const { busy, idle } = read().pool
        return { busy, idle }
      }),
      new Gauge('gatehouse_pool_waiting', 'Statements and transactions that wait for a connection.', null, () => {
        return { '': read().pool.waiting }
      }),
    ]
  }

  /** Every metric as it stands; without gauges, what a process leaves behind when it ends. */
  snapshot({ gauges = true } = {}): MetricSnapshot[] {
    const instruments = Object.values(this).filter(isInstrument)
    const own = [this.#appRefreshes, this.#reuses, this.#opened, this.#ended, ...(gauges ? this.#gauges : [])]
    return [...instruments, ...own].map((each) => each.snapshot())
  }
}

function isInstrument(value: unknown): value is Instrument {
  return value instanceof Counter || value instanceof Histogram
}
