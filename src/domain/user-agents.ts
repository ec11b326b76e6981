import Bowser from 'bowser'
import { message, type Words } from '../i18n/messages.ts'

/** What a device looks like, for its icon. */
export type DeviceKind = 'desktop' | 'phone' | 'tablet'

/** What stands between an app and its User-Agent header, in which this character cannot be (RFC 9110 §5.5). */
const APP_MARK = ' ▸ '

/** What is kept as the browser of an app that takes the sign-in itself: its name, and its User-Agent header. */
export function agentOfApp(appName: string, userAgent: string): string {
  return `${appName}${APP_MARK}${userAgent}`
}

/** A User-Agent header in words: "Firefox on Linux". Of an app that takes the sign-in itself: "Notes on Android". */
export function browserMessage(userAgent: string | null): Words {
  const end = userAgent?.lastIndexOf(APP_MARK) ?? -1
  if (userAgent !== null && end !== -1)
    return appMessage(userAgent.slice(0, end), userAgent.slice(end + APP_MARK.length))
  const [browser, system] = namesIn(userAgent)
  if (browser !== undefined && system !== undefined) return message('browsers.on_system', { browser, system })
  return browser ?? message('browsers.unknown')
}

function appMessage(appName: string, userAgent: string): Words {
  const system = userAgent === '' ? undefined : Bowser.parse(userAgent).os.name
  if (system !== undefined && system !== '') return message('browsers.on_system', { browser: appName, system })
  const program = programIn(userAgent)
  return program === null ? appName : `${appName} (${program})`
}

/** The kind of the device that a User-Agent header speaks of; a desktop where it does not say. */
export function deviceKindOf(userAgent: string): DeviceKind {
  if (userAgent === '') return 'desktop'
  const { type } = Bowser.parse(userAgent).platform
  return type === 'mobile' ? 'phone' : type === 'tablet' ? 'tablet' : 'desktop'
}

/** The same for a program that may be no browser: "openid-client/v6.8.1". Null when the header does not say. */
export function programMessage(userAgent: string): Words | null {
  return userAgent.includes(APP_MARK) || isBrowser(userAgent) ? browserMessage(userAgent) : programIn(userAgent)
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
