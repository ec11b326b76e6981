import type { Request } from 'express'
import type { ShownApp } from '../../administration/apps.ts'
import { OPERATIONS } from '../../administration/operations.ts'
import { act } from './act.ts'

export type AppRequest = Request<{ client_id: string }>

/** The page of an app. Its client id may be `new`, which is the page of a new one. */
export function appHref(clientId: string, page = ''): string {
  const id = clientId === 'new' ? '%6Eew' : encodeURIComponent(clientId)
  return `/admin/apps/${id}${page}`
}

/** The app that a page is about. @throws Refused when there is none */
export async function appOf(req: AppRequest): Promise<ShownApp> {
  return act(req, OPERATIONS.showApp, { client_id: req.params.client_id })
}

/** What the tile of an app shows. */
export function tileOf({ client_id: id, icon, name }: Pick<ShownApp, 'client_id' | 'icon' | 'name'>): {
  name: string
  iconUrl: string | null
} {
  return { name, iconUrl: icon === null ? null : `/app-icons/${encodeURIComponent(id)}/${icon}` }
}
