import { randomUUID } from 'node:crypto'
import { auditEventInJson } from '../administration/audit-events.ts'
import type { AuditWebhook } from '../backchannel/audit-webhook.ts'
import type { Config } from '../config.ts'
import { type AuditReceiver, streamAuditLog } from '../domain/audit/streaming.ts'
import type { Services } from '../domain/services.ts'
import type { Logger } from '../logger.ts'
import { repeat } from './repeat.ts'

const EVERY_MS = 1000

/** Sends the audit log as it is written, to the receivers of the settings. @returns stops it */
export async function startAuditStreams(
  services: Services,
  config: Config,
  logger: Logger,
  signal: AbortSignal,
): Promise<() => void> {
  const { receivers, close } = await openAuditReceivers(services, config, logger)
  const holder = randomUUID()
  const stops = receivers.map((receiver) =>
    repeat(async () => streamAuditLog(services, receiver, holder, signal), EVERY_MS, logger),
  )
  return () => {
    for (const stop of stops) stop()
    close()
  }
}

/** Standard output (AUDIT_STREAM) and a webhook (AUDIT_WEBHOOK_URL), those that are set. */
export async function openAuditReceivers(
  services: Services,
  { auditStream, auditWebhook }: Pick<Config, 'auditStream' | 'auditWebhook'>,
  logger: Logger,
): Promise<{ receivers: AuditReceiver[]; close: () => void }> {
  const receivers = auditStream === 'stdout' ? [toLog(logger)] : []
  if (auditWebhook === null) return { receivers, close: () => {} }
  const { createAuditWebhook } = await import('../backchannel/audit-webhook.ts')
  const webhook = createAuditWebhook(auditWebhook)
  return { receivers: [...receivers, toWebhook(services, webhook)], close: () => webhook.close() }
}

function toWebhook(services: Services, webhook: AuditWebhook): AuditReceiver {
  return {
    name: 'webhook',
    size: 100,
    async send(id, events) {
      const timestamp = events.at(-1)?.at
      const text = JSON.stringify({ type: 'audit.events', timestamp, data: { events: events.map(auditEventInJson) } })
      return webhook.send(id, text, services.clock())
    },
  }
}

/** Lines of the log with `"type":"audit"`, whatever LOG_LEVEL is. */
function toLog(logger: Logger): AuditReceiver {
  const lines = logger.child({ type: 'audit' }, { level: 'info' })
  return {
    name: 'stdout',
    size: 500,
    async send(_id, events) {
      for (const event of events) lines.info(auditEventInJson(event))
      // Only what has left this process counts as sent.
      return new Promise((resolve) => lines.flush((error) => resolve(error?.message ?? null)))
    },
  }
}
