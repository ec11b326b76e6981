import { join } from 'node:path'
import ejs from 'ejs'
import type { Assets } from './assets.ts'

const VIEWS = join(import.meta.dirname, '../../views')

export interface Page {
  title: string
  /** The navigation entry of this page. */
  nav?: 'dashboard' | 'sessions' | 'activity' | 'settings'
  /** A single card, without the navigation of a signed-in user. */
  narrow?: boolean
  username?: string | null
  notice?: string | null
}

export interface Templates {
  toString(view: string, page: Page, locals: object): Promise<string>
}

/** Renders a view inside the layout. Views get exactly what they print, and `assetUrl` for the static files they load. */
export function createTemplates({ urlOf }: Pick<Assets, 'urlOf'>): Templates {
  const file = (view: string, locals: object): Promise<string> =>
    ejs.renderFile(join(VIEWS, `${view}.ejs`), { ...locals, assetUrl: urlOf }, { cache: true })

  return {
    async toString(view, page, locals) {
      const body = await file(view, locals)
      return file('layout', {
        title: page.title,
        body,
        identity: page.username === undefined || page.username === null ? null : { username: page.username },
        nav: page.nav ?? null,
        notice: page.notice ?? null,
        narrow: page.narrow ?? false,
      })
    },
  }
}
