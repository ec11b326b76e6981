import type { Request, Response } from 'express'
import { isClientId } from '../../domain/apps/apps.ts'
import { type FamilyRow, findFamilyFor, listConnectedApps } from '../../domain/families/families.ts'
import { familyClient } from '../../domain/families/family-client.ts'
import { type TimelineEntry, familyTimeline } from '../../domain/families/family-timeline.ts'
import { endWhileSignedIn, isLapsed } from '../../domain/sign-in/identity-sessions.ts'
import type { Services } from '../../domain/services.ts'
import { findDeliveryStatuses } from '../../domain/families/delivery-status.ts'
import { endCauseOf, endMessage, endTimeOf } from '../../domain/families/family-ends.ts'
import { browserMessage } from '../../domain/user-agents.ts'
import { type Message, message } from '../../i18n/messages.ts'
import type { Texts } from '../../i18n/texts.ts'
import { servicesOf, signedInOf, textsOf } from '../context.ts'
import { askToSignIn } from '../middleware/identity.ts'
import { redirectWith } from '../flash-messages.ts'
import { notFound } from '../http-errors.ts'
import { render } from '../page.ts'
import { isUuid } from '../../domain/uuid.ts'

/** GET /families/:id */
export async function showFamily(req: Request<{ id: string }>, res: Response): Promise<void> {
  const services = servicesOf(req)
  const { identityId, id: here } = signedInOf(req)
  const family = await findOwn(services, req.params.id, identityId)
  const now = services.clock()
  const texts = textsOf(req)
  const timeline = (await familyTimeline(services, family)).map((entry) => shapeEntry(texts, entry, now))
  const receipt = (await findDeliveryStatuses(services, [family])).get(family.id) ?? null
  const title = texts.t('families.title', { app: family.appName })
  await render(
    req,
    res,
    'families/show',
    { title, nav: 'dashboard' },
    {
      title,
      id: family.id,
      appName: family.appName,
      browser: familyClient(family),
      here: family.identitySessionId === here,
      isLiving: endCauseOf(family, now) === null,
      lead: leadOf(services, family, now),
      timeline,
      receipt,
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

/** GET /apps/:clientId/disconnection: what removing an app ends, before it is done. */
export async function newDisconnection(req: Request<{ clientId: string }>, res: Response): Promise<void> {
  const services = servicesOf(req)
  const { identityId, id: here } = signedInOf(req)
  const texts = textsOf(req)
  const { clientId } = req.params
  const connected = isClientId(clientId) ? await listConnectedApps(services, identityId) : []
  const app = connected.find((each) => each.clientId === clientId)
  if (app === undefined) throw notFound()
  const [family] = app.living
  const tokenSeconds = family?.applicationTokenTtl ?? services.lifetimes.applicationToken
  const count = app.living.length
  const key = count === 0 ? 'disconnections.nothing_title' : 'disconnections.title'
  await render(
    req,
    res,
    'disconnections/new',
    { title: texts.t(key, { app: app.name }), narrow: true },
    {
      app,
      clientId,
      count,
      browsers: browsersOf(app.living, here),
      isTold: family?.takesNotifications ?? false,
      minutes: Math.ceil(tokenSeconds / 60),
    },
  )
}

/** The browsers in which an app is open, this one first, with how often it is open in each. */
function browsersOf(families: FamilyRow[], here: string) {
  const browsers = Map.groupBy(families, ({ identitySessionId, id }) => identitySessionId ?? id)
  return [...browsers]
    .map(([session, ofBrowser]) => ({
      browser: ofBrowser[0] === undefined ? browserMessage(null) : familyClient(ofBrowser[0]),
      count: ofBrowser.length,
      here: session === here,
    }))
    .toSorted((a, b) => Number(b.here) - Number(a.here))
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

function leadOf(services: Services, family: FamilyRow, now: Date): Message {
  const cause = endCauseOf(family, now)
  // A family that follows its session has no expiry of its own.
  if (cause === null) return message('families.open_lead', { app: family.appName, time: family.idleExpiresAt })
  const why = endMessage(services, cause, family)
  const time = endTimeOf(family, now)
  return time === null ? message('families.over_lead', { why }) : message('families.ended_lead', { time, why })
}

function shapeEntry(texts: Texts, { sentence, tone, clients, firstAt, lastAt }: TimelineEntry, now: Date) {
  const first = firstAt === null ? null : texts.time(firstAt, now)
  const last = lastAt === null ? null : texts.time(lastAt, now)
  return { sentence, tone, clients, first: first?.text === last?.text ? null : first, last }
}
