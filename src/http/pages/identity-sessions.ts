import type { Request, Response } from 'express'
import { browserInWords } from '../../domain/user-agents.ts'
import { listKnownDevices } from '../../domain/sign-in/devices.ts'
import { endWhileSignedIn, isLapsed, listIdentitySessions } from '../../domain/sign-in/identity-sessions.ts'
import { ipInWords } from '../../domain/geoip.ts'
import { servicesOf, signedInOf } from '../context.ts'
import { deviceOf } from '../middleware/device.ts'
import { askToSignIn } from '../middleware/identity.ts'
import { destroySession } from '../middleware/session.ts'
import { redirectWith } from '../flash-messages.ts'
import { notFound } from '../http-errors.ts'
import { render } from '../page.ts'
import { timeInWords } from '../../domain/time-words.ts'
import { isUuid } from '../../domain/uuid.ts'

/** GET /sessions */
export async function listSessions(req: Request, res: Response): Promise<void> {
  const services = servicesOf(req)
  const { id, identityId } = signedInOf(req)
  const now = services.clock()
  const rows = await listIdentitySessions(services, identityId)
  const devices = await listKnownDevices(services, identityId)
  const idOf = (device: { hash: Buffer }) => device.hash.toString('base64url')
  const firstSeen = new Map(devices.map((device) => [idOf(device), device.firstSeenAt.getTime()]))
  const here = deviceOf(req)?.toString('base64url')
  const sessions = rows
    .map((row) => ({
      id: row.id,
      browser: browserInWords(row.browser),
      address: ipInWords(services, row.address),
      signedIn: timeInWords(row.createdAt, now),
      lastSeen: timeInWords(row.lastSeenAt, now),
      current: row.id === id,
      isFirst: firstSeen.get(row.deviceHash?.toString('base64url') ?? '') === row.createdAt.getTime(),
    }))
    .toSorted((a, b) => Number(b.current) - Number(a.current))
  await render(
    req,
    res,
    'identity-sessions/index',
    { title: 'Signed-in browsers', nav: 'sessions' },
    {
      sessions,
      devices: devices.map((device) => ({
        id: idOf(device),
        browser: browserInWords(device.browser),
        address: ipInWords(services, device.address),
        firstSeen: timeInWords(device.firstSeenAt, now),
        lastSeen: timeInWords(device.lastSeenAt, now),
        current: idOf(device) === here,
      })),
    },
  )
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
