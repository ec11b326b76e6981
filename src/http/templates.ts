import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import ejs from 'ejs'
import { LANGUAGES, nameOfLanguage } from '../i18n/catalogues.ts'
import type { Message } from '../i18n/messages.ts'
import type { Texts } from '../i18n/texts.ts'
import type { Assets } from './assets.ts'

const LANGUAGE_NAMES = LANGUAGES.map((language) => ({ language, name: nameOfLanguage(language) }))
const VIEWS = join(import.meta.dirname, '../../views')

export interface Page {
  title: string
  /** The navigation entry of this page. */
  nav?: 'dashboard' | 'sessions' | 'activity' | 'settings'
  /** A single card, without the navigation of a signed-in user. */
  narrow?: boolean
  username?: string | null
  notice?: string | null
  /** The path and query of the page, for the language switch to come back to; null where there is nothing to come back to. */
  path?: string | null
}

export interface Templates {
  toString(view: string, page: Page, locals: object, texts: Texts): Promise<string>
}

/**
 * Renders a view inside the layout. Views get exactly what they print, `assetUrl` for the static files they load, and the texts
 * of the user's language: `t`, `say`, `rich`.
 * @param isLive whether views that change are compiled again (development)
 */
export function createTemplates({ urlOf }: Pick<Assets, 'urlOf'>, isLive: boolean, folder = VIEWS): Templates {
  const versions = new FileVersions(folder)
  const file = (view: string, locals: object, texts: Texts): Promise<string> => {
    const words = { texts, t: texts.t, rich: texts.rich, say: (words: Message | string) => inWords(texts, words) }
    return ejs.renderFile(join(folder, `${view}.ejs`), { ...locals, ...words, assetUrl: urlOf }, { cache: true })
  }

  return {
    async toString(view, page, locals, texts) {
      if (isLive && versions.haveChanged()) ejs.clearCache()
      const body = await file(view, locals, texts)
      const layout = {
        title: hasFailed(locals) ? texts.t('layout.title_of_error', { title: page.title }) : page.title,
        body,
        identity: page.username === undefined || page.username === null ? null : { username: page.username },
        nav: page.nav ?? null,
        notice: page.notice ?? null,
        narrow: page.narrow ?? false,
        path: page.path ?? null,
        languages: LANGUAGE_NAMES,
      }
      return file('layout', layout, texts)
    },
  }
}

/** Whether a form was not accepted. The title says so, which screen readers read first. */
function hasFailed(locals: { problem?: unknown; problems?: object | null; wait?: unknown }): boolean {
  const { problem = null, problems = null, wait = null } = locals
  return problem !== null || wait !== null || Object.keys(problems ?? {}).length > 0
}

function inWords(texts: Texts, words: Message | string): string {
  return typeof words === 'string' ? words : texts.say(words)
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
