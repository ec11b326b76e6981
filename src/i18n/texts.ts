import { IntlMessageFormat } from 'intl-messageformat'
import { catalogueOf, directionOf, ENGLISH } from './catalogues.ts'
import type { MessageKey, MessageValue, Words } from './messages.ts'
import { pseudo, PSEUDO } from './pseudo.ts'
import { agoOf, type TimeWords } from './times.ts'

/** The texts of the portal in one language and time zone. */
export interface Texts {
  /** A BCP 47 tag, for the `lang` attribute. */
  readonly language: string
  readonly direction: 'ltr' | 'rtl'
  /** The time zone of its times (IANA); null when it is not known, and times are in UTC and say so. */
  readonly zone: string | null
  t(key: MessageKey, values?: Record<string, MessageValue>): string
  say(words: Words): string
  /**
   * HTML of a text with named tags, all else escaped. A tag in `links` becomes a link to its URL, `b` becomes `strong`, and
   * `name` marks words of foreign direction (`bdi`).
   */
  rich(key: MessageKey, values?: Record<string, MessageValue>, links?: Record<string, string>): string
  /** "a, b and c" */
  list(items: readonly string[]): string
  time(at: Date, now: Date): TimeWords
  /** "Today", "Yesterday", or the day. */
  day(at: Date, now: Date): string
  date(at: Date): string
  /** To the second: "at 12:01:03 UTC", with the date unless it is today. */
  second(at: Date, now: Date): string
  number(value: number): string
}

export interface TextsOptions {
  /** The name of the organisation that runs the portal; every text may use it as `{organisation}`. */
  organisation: string
  zone?: string | null
}

const cache = new Map<string, Texts>()
/** A client chooses the zone in its cookie, and the formats of one take about 150 kB. */
const LONGEST_CACHE = 100

/** @throws Error for a language without a file in `locales/` */
export function textsFor(language: string, { organisation, zone = null }: TextsOptions): Texts {
  const key = JSON.stringify([language, organisation, zone])
  const known = cache.get(key)
  if (known !== undefined) return known
  if (cache.size >= LONGEST_CACHE) cache.clear()
  const texts = createTexts(language, organisation, zone)
  cache.set(key, texts)
  return texts
}

/** The texts for programs and operators: commands and logs. */
export function englishTexts(): Texts {
  return textsFor(ENGLISH, { organisation: 'Gatehouse' })
}

function createTexts(language: string, organisation: string, zone: string | null): Texts {
  const formats = formatsOf(language === PSEUDO ? ENGLISH : language)
  const timeZone = zone ?? 'UTC'
  const dates = (options: Intl.DateTimeFormatOptions) =>
    new Intl.DateTimeFormat(formats.locale, { ...options, timeZone })
  const full = dates({ day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit' })
  const date = dates({ day: 'numeric', month: 'short', year: 'numeric' })
  const longDay = dates({ weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' })
  const clock = dates({ timeStyle: 'medium' })
  const relative = new Intl.RelativeTimeFormat(formats.locale, { numeric: 'auto' })
  const lists = new Intl.ListFormat(formats.locale)
  const numbers = new Intl.NumberFormat(formats.locale)
  const calendarDay = new Intl.DateTimeFormat('en-CA', { timeZone })
  const named = (time: string) => (zone === null ? t('time.with_zone', { time }) : time)

  const valueOf = (value: MessageValue): string | number => {
    if (value instanceof Date) return named(full.format(value))
    return typeof value === 'object' ? say(value) : value
  }
  const valuesOf = (values: Record<string, MessageValue> = {}) => ({
    organisation,
    ...Object.fromEntries(Object.entries(values).map(([name, value]) => [name, valueOf(value)])),
  })
  const formatOf = (key: MessageKey) => formats.get(key)
  const t: Texts['t'] = (key, values) => {
    const text = String(formatOf(key).format(valuesOf(values)))
    return language === PSEUDO ? pseudo(text) : text
  }
  const say: Texts['say'] = (words) => {
    if (typeof words === 'string') return words
    return 'names' in words ? (words.names[language] ?? words.names.en) : t(words.key, words.values)
  }

  return {
    language: language === PSEUDO ? ENGLISH : language,
    direction: directionOf(formats.locale),
    zone,
    t,
    say,
    rich(key, values, links = {}) {
      const escaped = Object.fromEntries(
        Object.entries(valuesOf(values)).map(([name, value]) => [
          name,
          typeof value === 'string' ? escapeHtml(value) : value,
        ]),
      )
      const tags = Object.fromEntries([
        ...Object.entries(links).map(([name, href]) => [name, tag(`<a href="${escapeHtml(href)}">`, '</a>')]),
        ['b', tag('<strong>', '</strong>')],
        ['name', tag('<bdi>', '</bdi>')],
      ])
      const html = [formatOf(key).format<string>({ ...escaped, ...tags })].flat().join('')
      return language === PSEUDO ? html.replace(/[^<>&;]+(?=<|$)/g, pseudo) : html
    },
    list: (items) => lists.format(items),
    time(at, now) {
      const ago = agoOf(at, now)
      return {
        iso: at.toISOString(),
        text: named(full.format(at)),
        ago: ago === null ? t('time.just_now') : relative.format(ago.count, ago.unit),
      }
    },
    day(at, now) {
      const days = (Date.parse(calendarDay.format(now)) - Date.parse(calendarDay.format(at))) / 86_400_000
      return days === 0 ? t('time.today') : days === 1 ? t('time.yesterday') : longDay.format(at)
    },
    date: (at) => date.format(at),
    second(at, now) {
      const time = named(clock.format(at))
      return date.format(at) === date.format(now)
        ? t('time.at_clock', { clock: time })
        : t('time.on_date_at_clock', { date: date.format(at), clock: time })
    },
    number: (value) => numbers.format(value),
  }
}

function tag(open: string, close: string): (parts: string[]) => string {
  return (parts) => `${open}${parts.join('')}${close}`
}

interface Formats {
  locale: string
  get(key: MessageKey): IntlMessageFormat
}

const knownFormats = new Map<string, Formats>()

/** The compiled texts of a language. Each is compiled when it is used first, and its own markup is escaped once. */
function formatsOf(language: string): Formats {
  const known = knownFormats.get(language)
  if (known !== undefined) return known
  const catalogue = catalogueOf(language)
  const compiled = new Map<MessageKey, IntlMessageFormat>()
  // English is British English, as the pages have always been: "28 Nov 2026".
  const locale = language === ENGLISH ? 'en-GB' : language
  const formats: Formats = {
    locale,
    get(key) {
      const found = compiled.get(key)
      if (found !== undefined) return found
      const format = new IntlMessageFormat(catalogue[key], locale)
      compiled.set(key, format)
      return format
    },
  }
  knownFormats.set(language, formats)
  return formats
}

function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;')
}
