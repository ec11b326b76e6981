import type { Request, Response } from 'express'
import { accessInWords } from '../../domain/apps/access.ts'
import type { FamilyRow } from '../../domain/families/families.ts'
import { familyClient } from '../../domain/families/family-client.ts'
import { type LauncherApp, listLauncher, searchLauncher } from '../../domain/families/launcher.ts'
import { ipMessage } from '../../domain/geoip.ts'
import type { Services } from '../../domain/services.ts'
import { findDeliveryStatuses, type DeliveryStatus } from '../../domain/families/delivery-status.ts'
import { addSeconds } from '../../domain/time.ts'
import type { Texts } from '../../i18n/texts.ts'
import { iconUrlOf } from '../app-icons.ts'
import { servicesOf, signedInOf, textsOf } from '../context.ts'
import { render } from '../page.ts'
import { shapeEnd } from '../family-ends.ts'

/** Sign-ins of an app that are shown at once. */
const SHOWN_AT_ONCE = 3
/** With more apps there is a search. */
const APPS_WITHOUT_SEARCH = 10

/** GET /dashboard */
export async function showDashboard(req: Request, res: Response): Promise<void> {
  const services = servicesOf(req)
  const { identityId, id, username } = signedInOf(req)
  const texts = textsOf(req)
  const now = services.clock()
  const all = await listLauncher(services, identityId)
  const search = searchIn(req)
  const shown = search === '' ? all : searchLauncher(all, search)
  const ended = all.flatMap((app) => app.ended)
  const receipts = await findDeliveryStatuses(services, ended)
  // An app with nothing but a home is one that could be opened; the others have a story here.
  const isNew = (app: LauncherApp) => app.living.length === 0 && app.ended.length === 0 && app.consent === null
  await render(
    req,
    res,
    'dashboard/show',
    { title: texts.t('dashboard.title'), nav: 'dashboard' },
    {
      username,
      total: all.length,
      hasSearch: all.length > APPS_WITHOUT_SEARCH || search !== '',
      search,
      apps: await Promise.all(
        shown.filter((app) => !isNew(app)).map((app) => shapeApp(services, texts, app, receipts, id, now)),
      ),
      more: shown.filter(isNew).map(shapeLook),
      news: newsOf(ended, receipts, now),
    },
  )
}

/** Something to search for; a query that no form of ours sends is none. */
function searchIn(req: Request): string {
  const { q } = req.query
  return typeof q === 'string'
    ? q
        .toWellFormed()
        .replaceAll(/\p{Cc}/gu, ' ')
        .trim()
        .slice(0, 100)
    : ''
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
      browser: familyClient(family),
      receipt: receipts.get(family.id) ?? null,
    }))
}

function shapeLook({ clientId, name, homeUri, description, icon }: LauncherApp) {
  return { clientId, name, homeUri, description, iconUrl: iconUrlOf({ clientId, icon }) }
}

async function shapeApp(
  services: Services,
  texts: Texts,
  app: LauncherApp,
  receipts: Map<string, DeliveryStatus>,
  here: string,
  now: Date,
) {
  const living = app.living
    .map((family) => shapeFamily(services, texts, family, here, now))
    .toSorted((a, b) => Number(b.here) - Number(a.here))
  return {
    ...shapeLook(app),
    living,
    first: living.slice(0, SHOWN_AT_ONCE),
    rest: living.slice(SHOWN_AT_ONCE),
    ended: app.ended.map((family) => ({
      ...shapeFamily(services, texts, family, here, now),
      receipt: receipts.get(family.id) ?? null,
    })),
    endedMore: app.endedMore,
    endedCount: app.ended.length + app.endedMore,
    access: app.consent && (await accessInWords(services, app, app.consent)),
  }
}

function shapeFamily(services: Services, texts: Texts, family: FamilyRow, here: string, now: Date) {
  return {
    id: family.id,
    browser: familyClient(family),
    address: ipMessage(services, family.address),
    lastUsed: texts.time(family.lastUsedAt, now),
    here: family.identitySessionId === here,
    ...shapeEnd(services, texts, family, now),
  }
}
