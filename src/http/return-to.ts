/** Longest path a person is led back to; an authorization request of a well-behaved app is far shorter. */
export const LONGEST_RETURN_TO = 8000

/** The place on this portal a person was on their way to, or null: no other origin can be named, however it is written. */
export function safeReturnTo(value: unknown, publicUrl: string): string | null {
  if (typeof value !== 'string' || value.length > LONGEST_RETURN_TO || !/^\/(?![/\\])[\x21-\x7e]*$/.test(value))
    return null
  const url = URL.parse(value, publicUrl)
  if (url === null || url.origin !== publicUrl) return null
  return LEADS_ON.test(url.pathname) ? url.pathname + url.search : null
}

const LEADS_ON =
  /^\/(?:interaction\/[\w-]+|oauth\/authorize|dashboard|verify-email|sessions|activity|settings(?:\/[\w-]+)*)$/
