import type { Request, Response } from 'express'
import { browserInWords } from '../../domain/user-agents.ts'
import { type ConnectedApp, type FamilyRow, listConnectedApps } from '../../domain/families/families.ts'
import { ipInWords } from '../../domain/geoip.ts'
import type { Services } from '../../domain/services.ts'
import { findDeliveryStatuses, type DeliveryStatus } from '../../domain/families/delivery-status.ts'
import { addSeconds } from '../../domain/time.ts'
import { servicesOf, signedInOf } from '../context.ts'
import { render } from '../page.ts'
import { timeInWords } from '../../domain/time-words.ts'
import { shapeEnd } from '../family-ends.ts'

/** GET /dashboard */
export async function showDashboard(req: Request, res: Response): Promise<void> {
  const services = servicesOf(req)
  const { identityId, id, username } = signedInOf(req)
  const now = services.clock()
  const connected = await listConnectedApps(services, identityId)
  const ended = connected.flatMap((app) => app.ended)
  const receipts = await findDeliveryStatuses(services, ended)
  const apps = connected.map((app) => shapeApp(services, app, receipts, id, now))
  const livingCount = connected.reduce((sum, app) => sum + app.living.length, 0)
  await render(
    req,
    res,
    'dashboard/show',
    { title: 'Your apps', nav: 'dashboard' },
    { username, apps, livingCount, news: newsOf(ended, receipts, now) },
  )
}

/** How long an ending and its delivery status are shown as news (seconds). */
const NEWS_AGE = 300
const NEWS_SHOWN = 3

function newsOf(ended: FamilyRow[], receipts: Map<string, DeliveryStatus>, now: Date) {
  const since = addSeconds(now, -NEWS_AGE)
  return ended
    .filter(({ endedAt, endCause }) => endedAt !== null && endedAt > since && endCause !== 'replaced')
    .toSorted((a, b) => Number(b.endedAt) - Number(a.endedAt))
    .slice(0, NEWS_SHOWN)
    .map((family) => ({
      id: family.id,
      appName: family.appName,
      browser: browserInWords(family.browser),
      receipt: receipts.get(family.id) ?? null,
    }))
}

function shapeApp(
  services: Services,
  app: ConnectedApp,
  receipts: Map<string, DeliveryStatus>,
  here: string,
  now: Date,
) {
  const living = app.living
    .map((family) => shapeFamily(services, family, here, now))
    .toSorted((a, b) => Number(b.here) - Number(a.here))
  const times = (app.living.length > 0 ? app.living : app.ended).map((family) => family.createdAt)
  const used = [...app.living, ...app.ended].map((family) => family.lastUsedAt)
  return {
    clientId: app.clientId,
    name: app.name,
    living,
    ended: app.ended.map((family) => ({
      ...shapeFamily(services, family, here, now),
      receipt: receipts.get(family.id) ?? null,
    })),
    endedMore: app.endedMore,
    connectedSince: timeInWords(new Date(Math.min(...times.map(Number))), now),
    lastUsed: timeInWords(new Date(Math.max(...used.map(Number))), now),
    summary: summaryOf(app.living, here),
  }
}

function summaryOf(living: FamilyRow[], here: string): string {
  const browsers = new Set(living.map((family) => family.identitySessionId))
  if (living.length === 0) return 'Not connected now'
  if (living.length === 1) return browsers.has(here) ? 'Connected in this browser' : 'Connected in one other browser'
  return `Connected ${living.length} times in ${browsers.size === 1 ? 'one browser' : `${browsers.size} browsers`}`
}

function shapeFamily(services: Services, family: FamilyRow, here: string, now: Date) {
  return {
    id: family.id,
    browser: browserInWords(family.browser),
    address: ipInWords(services, family.address),
    created: timeInWords(family.createdAt, now),
    lastUsed: timeInWords(family.lastUsedAt, now),
    rotations: family.generation,
    here: family.identitySessionId === here,
    ...shapeEnd(services, family, now),
  }
}
