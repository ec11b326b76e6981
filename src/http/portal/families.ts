import type { Request, Response } from 'express'
import { endFamilies } from '../../domain/endings.ts'
import { findFamilyFor, listConnectedApps } from '../../domain/families.ts'
import { portalOf, signedInOf } from '../context.ts'
import { logEvent } from '../event-log.ts'
import { notFound } from '../problems.ts'
import { isUuid } from '../uuid.ts'

/** POST /families/:id/revocation */
export async function createFamilyRevocation(req: Request<{ id: string }>, res: Response): Promise<void> {
  const portal = portalOf(req)
  const { identityId } = signedInOf(req)
  const { id } = req.params
  // Somebody else's family answers like one that does not exist; one's own that has ended already, as if it ended now.
  if (!isUuid(id) || !(await findFamilyFor(portal, id, identityId))) throw notFound()
  await endFamilies(portal, { id, identityId }, 'ended_by_person', req.place)
  logEvent(req, 'family_ended', { familyId: id })
  res.redirect(303, '/dashboard?notice=family-ended')
}

/** POST /apps/:clientId/disconnection */
export async function createDisconnection(req: Request<{ clientId: string }>, res: Response): Promise<void> {
  const portal = portalOf(req)
  const { identityId } = signedInOf(req)
  const { clientId } = req.params
  const connected = await listConnectedApps(portal, identityId)
  if (!connected.some((app) => app.clientId === clientId)) throw notFound()
  await endFamilies(portal, { identityId, clientId }, 'disconnected', req.place)
  logEvent(req, 'app_disconnected', { clientId })
  res.redirect(303, '/dashboard?notice=disconnected')
}
