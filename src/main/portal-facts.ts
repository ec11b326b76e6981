import { readAuditSeal } from '../domain/audit/seal.ts'
import type { MetricSnapshot } from '../domain/instruments.ts'
import type { Services } from '../domain/services.ts'
import { secondsBetween } from '../domain/time.ts'
import type { QueueName } from '../storage/jobs.ts'
import { within } from './time-limit.ts'

/** How long what was read is shown again (ms), so that scrapes cost the database little. */
const FRESH_MS = 2000
/** How long a scrape waits for a store (ms). */
const LIMIT_MS = 2000
/** A longer queue is not counted to its end. */
const MOST_COUNTED = 10_000

const QUEUES: Record<QueueName, string> = {
  mail: 'mail',
  notices: 'notifications',
  'late-notices': 'late_notifications',
}

/** Makes the reader of what the stores know, which is the same in every process: whether they answer, and the queues. */
export function createFacts(services: Services): () => Promise<MetricSnapshot[]> {
  let facts: Promise<MetricSnapshot[]> | null = null
  let readAt = -Infinity
  return async () => {
    const now = performance.now()
    if (facts === null || now - readAt >= FRESH_MS) {
      readAt = now
      facts = readFacts(services)
    }
    return facts
  }
}

/** Never rejects: without the database there are no queues to show. */
async function readFacts(services: Services): Promise<MetricSnapshot[]> {
  const { storage } = services
  const up = await Promise.all(storage.stores.map(async ({ name, ping }) => ({ name, isUp: await isKept(ping()) })))
  const queues = await within(LIMIT_MS, readQueues(services)).catch(() => [])
  const unsealed = await within(LIMIT_MS, readUnsealed(services)).catch(() => null)
  return [
    gauge(
      'gatehouse_store_up',
      'Whether the store answers.',
      'store',
      up.map(({ name, isUp }) => [name, isUp ? 1 : 0]),
    ),
    gauge(
      'gatehouse_queue_jobs',
      `Queued mails and notifications, ${MOST_COUNTED} at most.`,
      'queue',
      queues.map(({ queue, count }) => [queue, count]),
    ),
    gauge(
      'gatehouse_queue_oldest_seconds',
      'How long ago the oldest of them was queued.',
      'queue',
      queues.map(({ queue, age }) => [queue, age]),
    ),
    {
      ...gaugeOf(
        'gatehouse_audit_unsealed_seconds',
        'How long ago the oldest audit event was written that is not sealed.',
      ),
      values: unsealed === null ? [] : [{ labels: {}, value: unsealed }],
    },
  ]
}

async function readQueues({ storage, clock }: Services): Promise<{ queue: string; count: number; age: number }[]> {
  const names = Object.keys(QUEUES) as QueueName[]
  return Promise.all(
    names.map(async (name) => {
      const { count, oldest } = await storage.jobs.countOpen(name, MOST_COUNTED)
      const age = oldest === null ? 0 : Math.max(0, secondsBetween(oldest, clock()))
      return { queue: QUEUES[name], count, age }
    }),
  )
}

async function readUnsealed(services: Services): Promise<number> {
  const { unsealedSince } = await readAuditSeal(services)
  return unsealedSince === null ? 0 : Math.max(0, secondsBetween(unsealedSince, services.clock()))
}

async function isKept(promise: Promise<unknown>): Promise<boolean> {
  return within(LIMIT_MS, promise).then(
    () => true,
    () => false,
  )
}

function gauge(name: string, help: string, label: string, values: [string, number][]): MetricSnapshot {
  return { ...gaugeOf(name, help), values: values.map(([of, value]) => ({ labels: { [label]: of }, value })) }
}

function gaugeOf(name: string, help: string) {
  return { name, help, type: 'gauge', aggregator: 'first' } as const
}
