import Bowser from 'bowser'
import { type Message, message } from '../i18n/messages.ts'

/** A text for users: words of their language, or a name that is the same in every language. */
export type Words = Message | string

/** What a device looks like, for its icon. */
export type DeviceKind = 'desktop' | 'phone' | 'tablet'

/** A User-Agent header in words: "Firefox on Linux". */
export function browserMessage(userAgent: string | null): Words {
  const [browser, system] = namesIn(userAgent)
  if (browser !== undefined && system !== undefined) return message('browsers.on_system', { browser, system })
  return browser ?? message('browsers.unknown')
}

/** The kind of the device that a User-Agent header speaks of; a desktop where it does not say. */
export function deviceKindOf(userAgent: string): DeviceKind {
  if (userAgent === '') return 'desktop'
  const { type } = Bowser.parse(userAgent).platform
  return type === 'mobile' ? 'phone' : type === 'tablet' ? 'tablet' : 'desktop'
}

/** The same as `browserMessage` in English, for programs and operators. */
export function browserInWords(userAgent: string | null): string {
  const names = namesIn(userAgent)
  return names.length === 0 ? 'Unknown browser' : names.join(' on ')
}

/** The same for a program that may be no browser: "openid-client/v6.8.1". Null when the header does not say. */
export function programMessage(userAgent: string): Words | null {
  return isBrowser(userAgent) ? browserMessage(userAgent) : programIn(userAgent)
}

/** The same as `programMessage` in English, for programs and operators. */
export function programInWords(userAgent: string): string | null {
  return isBrowser(userAgent) ? browserInWords(userAgent) : programIn(userAgent)
}

function isBrowser(userAgent: string): boolean {
  return /^[\w .+-]+ on [\w .]+$/.test(browserInWords(userAgent))
}

function programIn(userAgent: string): string | null {
  return /^[\w.-]{1,40}(\/[\w.-]{1,20})?/.exec(userAgent)?.[0] ?? null
}

/** The names of the browser and of its system, as far as the header has them. */
function namesIn(userAgent: string | null): string[] {
  if (userAgent === null || userAgent === '') return []
  const { browser, os } = Bowser.parse(userAgent)
  return [browser.name, os.name].filter((part): part is string => part !== undefined && part !== '')
}
