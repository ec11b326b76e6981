import Bowser from 'bowser'

/** A User-Agent header in the words of the person who used it: "Firefox on Linux". */
export function browserInWords(userAgent: string | null): string {
  if (userAgent === null || userAgent === '') return 'Unknown browser'
  const { browser, os } = Bowser.parse(userAgent)
  const parts = [browser.name, os.name].filter((part) => part !== undefined && part !== '')
  return parts.length === 0 ? 'Unknown browser' : parts.join(' on ')
}
