import type { Request } from 'express'
import type { IpBlock } from '../domain/limits/ip-blocks.ts'
import { contextOf } from './context.ts'

/** What somebody did, on a line of its own beside the request's: who, from where, with what outcome. Never a secret. */
export function logEvent(req: Request, event: string, fields: Record<string, unknown> = {}): void {
  contextOf(req).logger.info(
    {
      requestId: req.requestId,
      event,
      identityId: req.signedIn?.identityId,
      address: req.clientInfo.address,
      ...fields,
    },
    'event',
  )
}

/** What a wrong guess brought upon the address it came from, when it did. */
export function logIpBlock(req: Request, suspension: IpBlock | null): void {
  if (suspension !== null) logEvent(req, 'address_suspended', { until: suspension.until })
}
