import Bowser from 'bowser'

/** A User-Agent header in words: "Firefox on Linux". */
export function browserInWords(userAgent: string | null): string {
  if (userAgent === null || userAgent === '') return 'Unknown browser'
  const { browser, os } = Bowser.parse(userAgent)
  const parts = [browser.name, os.name].filter((part) => part !== undefined && part !== '')
  return parts.length === 0 ? 'Unknown browser' : parts.join(' on ')
}

/** The same for a program that may be no browser: "openid-client/v6.8.1". Null when the header does not say. */
export function programInWords(userAgent: string): string | null {
  const browser = browserInWords(userAgent)
  if (/^[\w .+-]+ on [\w .]+$/.test(browser)) return browser
  return /^[\w.-]{1,40}(\/[\w.-]{1,20})?/.exec(userAgent)?.[0] ?? null
}
