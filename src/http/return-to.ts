/** Longest path a person is led back to: that of an interaction, in whose URL an authorization request may travel. */
export const LONGEST_RETURN_TO = 14_000
/** The same for every other page, of which none is that long. */
const LONGEST_PAGE = 8000

/** The place on this portal a person was on their way to, or null: no other origin can be named, however it is written. */
export function safeReturnTo(value: unknown, publicUrl: string): string | null {
  if (typeof value !== 'string' || value.length > LONGEST_RETURN_TO || !/^\/(?![/\\])[\x21-\x7e]*$/.test(value))
    return null
  const url = URL.parse(value, publicUrl)
  if (url === null || url.origin !== publicUrl) return null
  if (value.length > LONGEST_PAGE && !url.pathname.startsWith('/interaction/')) return null
  return LEADS_ON.test(url.pathname) ? url.pathname + url.search : null
}

/** Whether it leads on to an app. */
export function isInteraction(returnTo: string | null): boolean {
  return returnTo?.startsWith('/interaction/') ?? false
}

const LEADS_ON =
  /^\/(?:interaction\/[\w-]+|oauth\/authorize|dashboard|verify-email|sessions|activity|settings(?:\/[\w-]+)*)$/

/** Whether this path is one of an authorization, which ends at its app. */
export function leadsToApp(path: string): boolean {
  return /^\/(?:interaction\/|oauth\/authorize(?:[/?]|$))/i.test(path)
}

/** Where the form goes that gives up on the authorization this page leads back to; null when it leads to none. */
export function cancelActionOf(returnTo: string | null): string | null {
  const [, uid, query = ''] = /^\/interaction\/([\w-]+)(\?.*)?$/.exec(returnTo ?? '') ?? []
  return uid === undefined ? null : `/interaction/${uid}/cancellation${query}`
}
