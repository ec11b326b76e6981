import type { Request, Response } from 'express'
import { browserMessage, deviceKindOf } from '../../domain/user-agents.ts'
import { listBrowsers, type UserBrowser } from '../../domain/sign-in/browsers.ts'
import { type DeviceRow, findKnownDevice } from '../../domain/sign-in/devices.ts'
import {
  endWhileSignedIn,
  findSessionFor,
  type IdentitySessionRow,
  isLapsed,
} from '../../domain/sign-in/identity-sessions.ts'
import type { Services } from '../../domain/services.ts'
import type { Texts } from '../../i18n/texts.ts'
import { idOfDevice, renderBrowser } from '../browser-page.ts'
import { servicesOf, signedInOf, textsOf } from '../context.ts'
import { askToSignIn } from '../middleware/identity.ts'
import { destroySession } from '../middleware/session.ts'
import { redirectWith } from '../flash-messages.ts'
import { notFound } from '../http-errors.ts'
import { render } from '../page.ts'
import { isUuid } from '../../domain/uuid.ts'

/** GET /sessions */
export async function listSessions(req: Request, res: Response): Promise<void> {
  const services = servicesOf(req)
  const { id, identityId } = signedInOf(req)
  const texts = textsOf(req)
  const now = services.clock()
  const browsers = (await listBrowsers(services, identityId, id)).map((browser) =>
    shapeBrowser(services, texts, browser, now),
  )
  await render(
    req,
    res,
    'identity-sessions/index',
    { title: texts.t('sessions.title'), nav: 'sessions' },
    {
      signedIn: browsers.filter(({ isSignedIn }) => isSignedIn),
      known: browsers.filter(({ isSignedIn }) => !isSignedIn),
    },
  )
}

function shapeBrowser(services: Services, texts: Texts, browser: UserBrowser, now: Date) {
  const { session, device, isHere, isNew } = browser
  // One of the two is always there, and the session was seen later.
  const { browser: userAgent, address, lastSeenAt } = (session ?? device) as IdentitySessionRow | DeviceRow
  return {
    id: session?.id ?? idOfDevice(device as DeviceRow),
    href: session === null ? `/devices/${idOfDevice(device as DeviceRow)}` : `/sessions/${session.id}`,
    name: device?.name ?? browserMessage(userAgent),
    kind: deviceKindOf(userAgent),
    place: services.geoip.locationOf(address) ?? address,
    lastSeen: texts.time(lastSeenAt, now),
    newSince: isNew && session !== null ? texts.time(session.createdAt, now) : null,
    isSignedIn: session !== null,
    isHere,
  }
}

/** GET /sessions/:id: everything about one browser that is, or was, signed in. */
export async function showSession(req: Request<{ id: string }>, res: Response): Promise<void> {
  const services = servicesOf(req)
  const { identityId } = signedInOf(req)
  const { id } = req.params
  const session = isUuid(id) ? await findSessionFor(services, id, identityId) : null
  if (session === null) throw notFound()
  const device = session.deviceHash && (await findKnownDevice(services, identityId, session.deviceHash))
  await renderBrowser(req, res, { session, device })
}

/** POST /sessions/:id/revocation */
export async function createSessionRevocation(req: Request<{ id: string }>, res: Response): Promise<void> {
  const services = servicesOf(req)
  const signedIn = signedInOf(req)
  const { id: current, identityId } = signedIn
  const { id } = req.params
  if (!isUuid(id)) throw notFound()
  const choice = { sessions: { id, identityId }, families: 'following' } as const
  const outcome = await endWhileSignedIn(services, signedIn, choice, 'ended_by_person', req.clientInfo)
  if (isLapsed(outcome)) return askToSignIn(req, res)
  if (outcome.sessions === 0) throw notFound()
  if (id !== current) return redirectWith(req, res, 'session-ended', '/sessions')
  await destroySession(req, res)
  redirectWith(req, res, 'signed-out', '/login')
}

/** POST /sessions/revocation */
export async function createOtherSessionsRevocation(req: Request, res: Response): Promise<void> {
  const signedIn = signedInOf(req)
  const { id, identityId } = signedIn
  const everywhereElse = { sessions: { identityId, except: id }, families: 'elsewhere' } as const
  const outcome = await endWhileSignedIn(
    servicesOf(req),
    signedIn,
    everywhereElse,
    'other_sign_ins_ended',
    req.clientInfo,
  )
  if (isLapsed(outcome)) return askToSignIn(req, res)
  redirectWith(req, res, 'others-ended', '/sessions')
}
