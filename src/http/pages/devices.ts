import type { Request, Response } from 'express'
import {
  type DeviceRow,
  findKnownDevice,
  forgetDevice,
  LONGEST_DEVICE_NAME,
  renameDevice,
} from '../../domain/sign-in/devices.ts'
import { findSessionFor, isLapsed, listIdentitySessions } from '../../domain/sign-in/identity-sessions.ts'
import { endTrust } from '../../domain/sign-in/trusted-browsers.ts'
import { idOfDevice, renderBrowser } from '../browser-page.ts'
import { servicesOf, signedInOf, textsOf } from '../context.ts'
import { logEvent } from '../event-log.ts'
import { textField } from '../form-fields.ts'
import { askToSignIn } from '../middleware/identity.ts'
import { redirectWith } from '../flash-messages.ts'
import { notFound } from '../http-errors.ts'

/** GET /devices/:id: a browser that is known. While it is signed in, the page of that sign-in says more. */
export async function showDevice(req: Request<{ id: string }>, res: Response): Promise<void> {
  const device = await findOwn(req)
  const session = await findSessionOn(req, device)
  if (session !== null) return res.redirect(303, `/sessions/${session.id}`)
  await renderBrowser(req, res, { session, device })
}

/** POST /devices/:id/name: an empty name takes the name away. */
export async function createDeviceName(req: Request<{ id: string }>, res: Response): Promise<void> {
  const services = servicesOf(req)
  const device = await findOwn(req)
  const sent = textField(req.body, 'name', 1000)
  const name = sent.replaceAll(INVISIBLE, '').trim()
  if (Array.from(name).length > LONGEST_DEVICE_NAME) {
    res.status(422)
    const problem = textsOf(req).t('session.name_too_long')
    return renderBrowser(req, res, { session: await findSessionOn(req, device), device }, { name: sent, problem })
  }
  const isKnown = await renameDevice(services, signedInOf(req), device.hash, name === '' ? null : name)
  if (isLapsed(isKnown)) return askToSignIn(req, res)
  if (!isKnown) throw notFound()
  redirectWith(req, res, 'device-renamed', '/sessions')
}

/** What turns the direction of the text around a name, or makes two names look the same; joiners inside emoji stay. */
const INVISIBLE = /[\u200B\u200E\u200F\u202A-\u202E\u2060-\u206F\uFEFF]/g

/** POST /devices/:id/removal: forgets a known browser. */
export async function createDeviceRemoval(req: Request<{ id: string }>, res: Response): Promise<void> {
  const hash = hashIn(req)
  const isForgotten = await forgetDevice(servicesOf(req), signedInOf(req), hash, req.clientInfo)
  if (isLapsed(isForgotten)) return askToSignIn(req, res)
  if (!isForgotten) throw notFound()
  logEvent(req, 'device_forgotten')
  redirectWith(req, res, 'device-forgotten', '/sessions')
}

/** POST /devices/:id/trust-removal: that browser is asked for the second step again. */
export async function createDeviceTrustRemoval(req: Request<{ id: string }>, res: Response): Promise<void> {
  const device = await findOwn(req)
  const signedIn = signedInOf(req)
  const outcome = await endTrust(servicesOf(req), signedIn, req.clientInfo, device.hash)
  if (isLapsed(outcome)) return askToSignIn(req, res)
  logEvent(req, 'browser_trust_ended', { identityId: signedIn.identityId })
  redirectWith(req, res, 'browser-trust-ended', `/devices/${idOfDevice(device)}`)
}

/** Another user's browser answers like one that does not exist. */
async function findOwn(req: Request<{ id: string }>): Promise<DeviceRow> {
  const device = await findKnownDevice(servicesOf(req), signedInOf(req).identityId, hashIn(req))
  if (device === null) throw notFound()
  return device
}

function hashIn(req: Request<{ id: string }>): Buffer {
  const { id } = req.params
  if (!/^[\w-]{43}$/.test(id)) throw notFound()
  return Buffer.from(id, 'base64url')
}

/** The living session of a device. */
async function findSessionOn(req: Request, device: DeviceRow) {
  const { identityId } = signedInOf(req)
  const sessions = await listIdentitySessions(servicesOf(req), identityId)
  const session = sessions.find(
    ({ deviceHash }) => deviceHash !== null && idOfDevice({ hash: deviceHash }) === idOfDevice(device),
  )
  return session === undefined ? null : findSessionFor(servicesOf(req), session.id, identityId)
}
