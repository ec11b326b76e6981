import type { Request } from 'express'
import { inkOn } from '../domain/apps/app-colours.ts'
import type { AppRow } from '../domain/apps/apps.ts'
import { seenOf, willSee } from '../domain/apps/seen-by.ts'
import { findAppToOpen } from '../oidc/interactions.ts'
import { iconUrlOf } from './app-icons.ts'
import { servicesOf } from './context.ts'
import { clientIdIn } from './return-to.ts'
import type { AppLook } from './templates.ts'

/** The pages on which a user decides to go on to an app. */
const DECISIONS = new Set(['sessions/new', 'registrations/new'])

/** The look of the app that this page is on the way to; null for other pages, and where there is nothing to show. */
export async function appLookOf(req: Request, view: string, returnTo: unknown): Promise<AppLook | null> {
  // An error page must not ask the store whose failure it may be about.
  if (view.startsWith('errors/')) return null
  const page = typeof returnTo === 'string' ? returnTo : req.originalUrl
  const clientId = page.startsWith('/interaction/') ? clientIdIn(page) : null
  const app = clientId === null ? null : await findAppToOpen(servicesOf(req), req, clientId)
  if (app === null) return null
  const sees = DECISIONS.has(view) ? willSee(app.name, seenOf(app, app.scope.split(' '))) : null
  return sees === null && app.icon === null && app.colour === null ? null : { ...lookOf(app), sees }
}

/** The picture and the colour of an app. */
export function lookOf(app: AppRow): Omit<AppLook, 'sees'> {
  const { name, colour } = app
  return {
    name,
    iconUrl: iconUrlOf(app),
    colour: colour === null ? null : { background: colour, ink: inkOn(colour) },
  }
}
