import type { Request } from 'express'
import type { IpBlock } from '../domain/limits/ip-blocks.ts'
import { contextOf } from './context.ts'

/** Writes an event line beside the request's: the user, the IP address and the outcome, never a secret. */
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

/** Logs the temporary IP block that a failed attempt caused, if any. */
export function logIpBlock(req: Request, ipBlock: IpBlock | null): void {
  if (ipBlock !== null) logEvent(req, 'address_suspended', { until: ipBlock.until })
}
