import type { Request } from 'express'
import { contextOf } from './context.ts'

/** What somebody did, on a line of its own beside the request's: who, from where, with what outcome. Never a secret. */
export function logEvent(req: Request, event: string, fields: Record<string, unknown> = {}): void {
  contextOf(req).logger.info(
    { requestId: req.requestId, event, identityId: req.signedIn?.identityId, address: req.place.address, ...fields },
    'event',
  )
}
