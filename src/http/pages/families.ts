import type { Request, Response } from 'express'
import { isClientId } from '../../domain/apps/apps.ts'
import { type FamilyRow, findFamilyFor, listConnectedApps } from '../../domain/families/families.ts'
import { type TimelineEntry, familyTimeline } from '../../domain/families/family-timeline.ts'
import { endWhileSignedIn, isLapsed } from '../../domain/sign-in/identity-sessions.ts'
import type { Services } from '../../domain/services.ts'
import { findDeliveryStatuses } from '../../domain/families/delivery-status.ts'
import { timeInWords } from '../../domain/time-words.ts'
import { servicesOf, signedInOf } from '../context.ts'
import { askToSignIn } from '../middleware/identity.ts'
import { redirectWith } from '../flash-messages.ts'
import { notFound } from '../http-errors.ts'
import { render } from '../page.ts'
import { isUuid } from '../../domain/uuid.ts'
import { shapeEnd } from '../family-ends.ts'

/** GET /families/:id */
export async function showFamily(req: Request<{ id: string }>, res: Response): Promise<void> {
  const services = servicesOf(req)
  const { identityId, id: here } = signedInOf(req)
  const family = await findOwn(services, req.params.id, identityId)
  const now = services.clock()
  const timeline = (await familyTimeline(services, family)).map((entry) => shapeEntry(entry, now))
  const receipt = (await findDeliveryStatuses(services, [family])).get(family.id) ?? null
  const title = `Sign-in to ${family.appName}`
  await render(
    req,
    res,
    'families/show',
    { title, nav: 'dashboard' },
    {
      title,
      id: family.id,
      appName: family.appName,
      here: family.identitySessionId === here,
      timeline,
      receipt,
      // A family that follows its session has no expiry of its own.
      lastsUntil: timeInWords(family.idleExpiresAt, now),
      ...shapeEnd(services, family, now),
    },
  )
}

/** POST /families/:id/revocation */
export async function createFamilyRevocation(req: Request<{ id: string }>, res: Response): Promise<void> {
  const services = servicesOf(req)
  const signedIn = signedInOf(req)
  const { identityId } = signedIn
  const { id } = req.params
  if (!isUuid(id)) throw notFound()
  const families = { id, identityId }
  const outcome = await endWhileSignedIn(services, signedIn, { families }, 'ended_by_person', req.clientInfo)
  if (isLapsed(outcome)) return askToSignIn(req, res)
  // The user's own family that had ended already answers as if it ended now.
  if (outcome.families.length === 0) await findOwn(services, id, identityId)
  redirectWith(req, res, 'family-ended', '/dashboard')
}

/** POST /apps/:clientId/disconnection */
export async function createDisconnection(req: Request<{ clientId: string }>, res: Response): Promise<void> {
  const services = servicesOf(req)
  const signedIn = signedInOf(req)
  const { identityId } = signedIn
  const { clientId } = req.params
  if (!isClientId(clientId)) throw notFound()
  const families = { identityId, clientId }
  const outcome = await endWhileSignedIn(services, signedIn, { families }, 'disconnected', req.clientInfo)
  if (isLapsed(outcome)) return askToSignIn(req, res)
  if (outcome.families.length === 0) {
    const connected = await listConnectedApps(services, identityId)
    if (!connected.some((app) => app.clientId === clientId)) throw notFound()
  }
  redirectWith(req, res, 'disconnected', '/dashboard')
}

/** Another user's family answers like one that does not exist. */
async function findOwn(services: Services, id: string, identityId: string): Promise<FamilyRow> {
  const family = isUuid(id) ? await findFamilyFor(services, id, identityId) : null
  if (family === null) throw notFound()
  return family
}

function shapeEntry({ sentence: told, tone, clients, firstAt, lastAt }: TimelineEntry, now: Date) {
  const first = firstAt === null ? null : timeInWords(firstAt, now)
  const last = lastAt === null ? null : timeInWords(lastAt, now)
  return { sentence: told, tone, clients, first: first?.text === last?.text ? null : first, last }
}
