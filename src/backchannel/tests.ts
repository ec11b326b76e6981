import { randomUUID } from 'node:crypto'
import type { AppRow } from '../domain/apps/apps.ts'
import type { Services } from '../domain/services.ts'
import type { TestAnswer, TestKind } from '../domain/test-answer.ts'
import { type BackChannelOptions, createBackChannelClient } from './http-client.ts'
import { requestOf } from './requests.ts'

/**
 * Sends an app a notification as it gets them, about a user and a session that do not exist. The app has a URI for it.
 * @returns what it answered
 */
export async function sendTest(
  services: Services,
  options: BackChannelOptions,
  app: AppRow,
  kind: TestKind,
): Promise<TestAnswer> {
  const request = await requestOf(
    services,
    {
      id: randomUUID(),
      kind: kind === 'logout' ? 'logout' : 'session-revoked',
      clientId: app.clientId,
      familyId: randomUUID(),
      identityId: randomUUID(),
      sid: randomUUID(),
      cause: 'operator',
      happenedAt: services.clock(),
    },
    app,
  )
  if (request === null) throw new Error(`${app.clientId} has no URI for a test of ${kind}`)
  const channel = createBackChannelClient(options)
  const begun = performance.now()
  try {
    const outcome = await channel.post(request.uri, request, request.accepted)
    return {
      outcome: outcome.kind,
      status: outcome.status ?? null,
      problem: 'problem' in outcome ? outcome.problem : null,
      milliseconds: Math.round(performance.now() - begun),
    }
  } finally {
    channel.close()
  }
}
