import { type AppLook, listAppLooks } from '../../storage/apps.ts'
import { type ListedConsentRow, listConsents } from '../../storage/consents.ts'
import type { Services } from '../services.ts'
import { type ConnectedApp, listConnectedApps } from './families.ts'

/** An app on the dashboard: how it looks, and the families that this identity has or had of it. */
export type LauncherApp = AppLook &
  Omit<ConnectedApp, 'clientId' | 'name'> & {
    /** What the user lets a third-party app have. */
    consent: ListedConsentRow | null
  }

/**
 * The apps of an identity: those it has families of, the last used first, then the others that it allowed or can open and enter, by
 * name.
 */
export async function listLauncher(services: Services, identityId: string): Promise<LauncherApp[]> {
  const [connected, consents] = await Promise.all([
    listConnectedApps(services, identityId),
    listConsents(services.storage.pool, identityId),
  ])
  const looks = await listAppLooks(
    services.storage,
    identityId,
    [...connected, ...consents].map(({ clientId }) => clientId),
  )
  const allowed = new Map(consents.map((consent) => [consent.clientId, consent]))
  const families = new Map(connected.map((app) => [app.clientId, app]))
  const places = new Map(connected.map(({ clientId }, index) => [clientId, index]))
  const placeOf = ({ clientId }: AppLook) => places.get(clientId) ?? Infinity
  return looks
    .map((look) => ({
      living: [],
      ended: [],
      endedMore: 0,
      ...families.get(look.clientId),
      ...look,
      consent: allowed.get(look.clientId) ?? null,
    }))
    .toSorted((a, b) => (placeOf(a) === placeOf(b) ? 0 : placeOf(a) - placeOf(b)))
}

/** The longest search that is looked at (characters). */
const LONGEST_SEARCH = 100

/** The apps whose name or description has every word of the search, whatever its capitals, accents or width. */
export function searchLauncher(apps: LauncherApp[], search: string): LauncherApp[] {
  const words = plain(search.slice(0, LONGEST_SEARCH)).split(' ')
  return apps.filter(({ name, description, clientId }) => {
    const text = plain(`${name} ${description ?? ''} ${clientId}`)
    return words.every((word) => text.includes(word))
  })
}

/** Compatibility forms are one (NFKD), accents and capitals are left out, and spaces are single. */
function plain(text: string): string {
  return text.toWellFormed().normalize('NFKD').replaceAll(/\p{M}/gu, '').toLowerCase().replaceAll(/\s+/g, ' ').trim()
}
