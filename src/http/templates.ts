import { join } from 'node:path'
import { LANGUAGES, nameOfLanguage } from '../i18n/catalogues.ts'
import type { Message } from '../i18n/messages.ts'
import type { Texts } from '../i18n/texts.ts'
import type { Assets } from './assets.ts'
import { type BrandOfPages, PRODUCT } from './brand.ts'
import { Views } from './views.ts'

const LANGUAGE_NAMES = LANGUAGES.map((language) => ({ language, name: nameOfLanguage(language) }))
const VIEWS = join(import.meta.dirname, '../../views')

/** The sections of the administration. */
const SECTIONS = [
  'overview',
  'people',
  'groups',
  'apps',
  'apis',
  'identity-providers',
  'blocks',
  'queues',
  'audit',
  'keys',
] as const

export type AdminSection = (typeof SECTIONS)[number]

export interface Page {
  title: string
  /** The navigation entry of this page. */
  nav?: 'dashboard' | 'sessions' | 'activity' | 'settings' | 'admin'
  /** The section of an admin page. */
  admin?: { section: AdminSection }
  /** Whether the navigation leads to the admin pages. */
  isOperator?: boolean
  /** A single card, with the navigation of a signed-in user below it. */
  narrow?: boolean
  username?: string | null
  /** The app that a narrow page is on the way to. */
  app?: AppLook | null
  notice?: string | null
  /** The e-mail address that the signed-in user has yet to confirm. */
  unconfirmed?: string | null
  /** The path and query of the page, for the language switch to come back to; null where there is nothing to come back to. */
  path?: string | null
}

/** What the pages on the way to an app show of it. */
export interface AppLook {
  name: string
  iconUrl: string | null
  /** Its colour, and black or white for what stands on it. */
  colour: { background: string; ink: string } | null
  /** What it will see of the account; null where that is no subject. */
  sees: Message | null
}

export interface Templates {
  toString(view: string, page: Page, locals: object, texts: Texts): Promise<string>
}

export interface TemplateOptions {
  /** Whether views that change are compiled again (development). */
  isLive: boolean
  brand?: BrandOfPages
  folder?: string
  /** A folder of views that replace those of the same name. */
  overlay?: string | null
}

/**
 * Renders a view inside the layout. Views get exactly what they print, `brand`, `assetUrl` for the static files they load, and
 * the texts of the user's language: `t`, `say`, `rich`. @throws BrokenView
 */
export function createTemplates(
  { urlOf }: Pick<Assets, 'urlOf'>,
  { isLive, brand = PRODUCT, folder = VIEWS, overlay = null }: TemplateOptions,
): Templates {
  const views = new Views(folder, overlay)
  const render = (view: string, locals: object, texts: Texts): string => {
    const words = { texts, t: texts.t, rich: texts.rich, say: texts.say }
    return views.render(view, { ...locals, ...words, brand, assetUrl: urlOf })
  }

  return {
    async toString(view, page, locals, texts) {
      if (isLive) views.refresh()
      const body = render(view, locals, texts)
      const layout = {
        title: hasFailed(locals) ? texts.t('layout.title_of_error', { title: page.title }) : page.title,
        body,
        identity: page.username === undefined || page.username === null ? null : { username: page.username },
        navigation: navigationOf(page, texts),
        notice: page.notice ?? null,
        unconfirmed: page.unconfirmed ?? null,
        narrow: page.narrow ?? false,
        path: page.path ?? null,
        app: page.app ?? null,
        languages: LANGUAGE_NAMES,
        sections: sectionsOf(page, texts),
      }
      return render('layout', layout, texts)
    },
  }
}

/** Where a signed-in user goes from every page, also from one with a single card. */
function navigationOf({ nav, isOperator }: Page, texts: Texts): { href: string; label: string; isCurrent: boolean }[] {
  const entry = (name: Page['nav'], label: string) => ({ href: `/${name}`, label, isCurrent: nav === name })
  return [
    entry('dashboard', texts.t('layout.apps')),
    entry('sessions', texts.t('layout.browsers')),
    entry('activity', texts.t('layout.activity')),
    entry('settings', texts.t('layout.settings')),
    ...(isOperator ? [entry('admin', texts.t('layout.admin'))] : []),
  ]
}

/** The navigation inside the administration; null on other pages. */
function sectionsOf({ admin }: Page, { t }: Texts): { href: string; label: string; isCurrent: boolean }[] | null {
  if (admin === undefined) return null
  return SECTIONS.map((section) => ({
    href: section === 'overview' ? '/admin' : `/admin/${section}`,
    label: t(SECTION_NAMES[section]),
    isCurrent: admin.section === section,
  }))
}

const SECTION_NAMES = {
  overview: 'admin.sections.overview',
  people: 'admin.sections.people',
  'identity-providers': 'admin.sections.identity_providers',
  groups: 'admin.sections.groups',
  apps: 'admin.sections.apps',
  apis: 'admin.sections.apis',
  blocks: 'admin.sections.blocks',
  queues: 'admin.sections.queues',
  audit: 'admin.sections.audit',
  keys: 'admin.sections.keys',
} as const satisfies Record<AdminSection, string>

/** Whether a form was not accepted. The title says so, which screen readers read first. */
function hasFailed(locals: {
  problem?: unknown
  problems?: object | null
  wait?: unknown
  terms?: { problem?: unknown } | null
}): boolean {
  const { problem = null, problems = null, wait = null, terms = null } = locals
  return problem !== null || Boolean(terms?.problem) || wait !== null || Object.keys(problems ?? {}).length > 0
}
