import { insertAuditEvents } from '../../storage/audit.ts'
import type { AppRow } from '../../storage/apps.ts'
import type { Services } from '../services.ts'
import type { TestAnswer, TestKind } from '../test-answer.ts'
import { AppRefused } from './app-refused.ts'

/** Sends an app a notification about a user and a session that do not exist. @throws AppRefused for an app that takes none */
export async function sendTest(services: Services, app: AppRow, kind: TestKind): Promise<TestAnswer & { uri: string }> {
  const uri = kind === 'logout' ? app.backchannelLogoutUri : app.eventReceiverUri
  if (uri === null)
    throw new AppRefused(
      kind === 'logout'
        ? `${app.clientId} has no back-channel logout URI`
        : `${app.clientId} has no event receiver URI`,
      'conflict',
    )
  const answer = await services.sendTest(app, kind)
  const { operator: actor } = services
  const detail = `${kind}: ${answer.outcome}`
  const event = { kind: 'test_notification_sent' as const, clientId: app.clientId, detail, actor }
  await insertAuditEvents(services.storage.pool, [event], services.clock())
  return { ...answer, uri }
}
