import Bowser from 'bowser'
import { message, type Words } from '../i18n/messages.ts'

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

/** The same for a program that may be no browser: "openid-client/v6.8.1". Null when the header does not say. */
export function programMessage(userAgent: string): Words | null {
  return isBrowser(userAgent) ? browserMessage(userAgent) : programIn(userAgent)
}

function isBrowser(userAgent: string): boolean {
  return /^[\w .+-]+ on [\w .]+$/.test(namesIn(userAgent).join(' on '))
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
