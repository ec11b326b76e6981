import { readdirSync, statSync } from 'node:fs'
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

/**
 * Renders a view inside the layout. Views get exactly what they print, and `assetUrl` for the static files they load.
 * @param isLive whether views that change are compiled again (development)
 */
export function createTemplates({ urlOf }: Pick<Assets, 'urlOf'>, isLive: boolean, folder = VIEWS): Templates {
  const versions = new FileVersions(folder)
  const file = (view: string, locals: object): Promise<string> =>
    ejs.renderFile(join(folder, `${view}.ejs`), { ...locals, assetUrl: urlOf }, { cache: true })

  return {
    async toString(view, page, locals) {
      if (isLive && versions.haveChanged()) ejs.clearCache()
      const body = await file(view, locals)
      return file('layout', {
        title: hasFailed(locals) ? `Error: ${page.title}` : page.title,
        body,
        identity: page.username === undefined || page.username === null ? null : { username: page.username },
        nav: page.nav ?? null,
        notice: page.notice ?? null,
        narrow: page.narrow ?? false,
      })
    },
  }
}

/** Whether a form was not accepted. The title says so, which screen readers read first. */
function hasFailed(locals: { problem?: unknown; problems?: object | null; wait?: unknown }): boolean {
  const { problem = null, problems = null, wait = null } = locals
  return problem !== null || wait !== null || Object.keys(problems ?? {}).length > 0
}

/** When each view was last written. Views include others, so one that has changed makes all of them stale. */
class FileVersions {
  readonly #folder: string
  #known: string

  constructor(folder: string) {
    this.#folder = folder
    this.#known = this.#read()
  }

  /** Whether a file is different from when this was asked last. */
  haveChanged(): boolean {
    const now = this.#read()
    const haveChanged = now !== this.#known
    this.#known = now
    return haveChanged
  }

  #read(): string {
    const names = readdirSync(this.#folder, { recursive: true, encoding: 'utf8' })
    return names.map((name) => `${name} ${statSync(join(this.#folder, name)).mtimeMs}`).join('\n')
  }
}
