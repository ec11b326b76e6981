import { Webhook } from 'standardwebhooks'
import { createBackChannelClient } from './http-client.ts'

/** Sends audit events to the receiver of the operator, signed (Standard Webhooks). */
export interface AuditWebhook {
  /** @param id the same whenever this text is sent. @returns why it did not arrive, without secrets; null when it did */
  send(id: string, text: string, now: Date): Promise<string | null>
  close(): void
}

const TIMEOUT_MS = 10_000
const ACCEPTED = [200, 201, 202, 204]
/** A SIEM usually stands in a private network. Cloud metadata endpoints are refused all the same. */
const PRIVATE_NETWORKS = [
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '::1/128',
  'fc00::/7',
]

export function createAuditWebhook({ url, secret }: { url: string; secret: string }): AuditWebhook {
  const webhook = new Webhook(secret)
  const client = createBackChannelClient({
    allowedNetworks: PRIVATE_NETWORKS,
    timeoutMs: TIMEOUT_MS,
    unencrypted: 'it is not https, and its address is not in a private network',
  })
  return {
    async send(id, text, now) {
      const headers = {
        'webhook-id': id,
        'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
        'webhook-signature': webhook.sign(id, now, text),
      }
      const outcome = await client.post(url, { contentType: 'application/json', text, headers }, ACCEPTED)
      return outcome.kind === 'accepted' ? null : outcome.problem
    },
    close: () => client.close(),
  }
}
