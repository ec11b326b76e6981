import type { Request, Response } from 'express'
import { forgetDevice } from '../../domain/sign-in/devices.ts'
import { isLapsed } from '../../domain/sign-in/identity-sessions.ts'
import { servicesOf, signedInOf } from '../context.ts'
import { logEvent } from '../event-log.ts'
import { askToSignIn } from '../middleware/identity.ts'
import { redirectWith } from '../flash-messages.ts'
import { notFound } from '../http-errors.ts'

/**
 * POST /devices/:id/removal: forgets a known browser. Its id is the hash of 128 random bits, from which the cookie cannot be
 * computed.
 */
export async function createDeviceRemoval(req: Request<{ id: string }>, res: Response): Promise<void> {
  const { id } = req.params
  if (!/^[\w-]{43}$/.test(id)) throw notFound()
  const isForgotten = await forgetDevice(servicesOf(req), signedInOf(req), Buffer.from(id, 'base64url'), req.clientInfo)
  if (isLapsed(isForgotten)) return askToSignIn(req, res)
  if (!isForgotten) throw notFound()
  logEvent(req, 'device_forgotten')
  redirectWith(req, res, 'device-forgotten', '/sessions')
}
