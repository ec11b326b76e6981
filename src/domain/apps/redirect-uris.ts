import { isLoopback } from '../../config.ts'

/** Parameters of an authorization response, which the portal adds to a redirect URI (IANA's registry of OAuth parameters). */
const ANSWER_PARAMETERS = new Set([
  'code',
  'state',
  'iss',
  'error',
  'error_description',
  'error_uri',
  'response',
  'session_state',
  'id_token',
  'access_token',
  'token_type',
  'expires_in',
  'scope',
])

/**
 * Exact URIs only: https, or http on loopback, or, for a native app, a scheme of its own (RFC 8252 §7.1).
 * @returns what is wrong with it
 */
export function redirectFaults(uri: string, isNative: boolean): string[] {
  const refused = (why: string) => [`redirect URI ${JSON.stringify(uri)}: ${why}`]
  const url = plainUrl(uri)
  if (typeof url === 'string') return refused(url)
  if (url.protocol === 'https:') return []
  if (url.protocol === 'http:')
    return isLoopback(url.hostname) ? [] : refused('http is only allowed on loopback; use https')
  if (isNative && /^[a-z][a-z0-9-]*(\.[a-z0-9-]+)+:$/.test(url.protocol)) return []
  return refused(isNative ? 'a scheme of an app contains a dot, like com.example.app' : 'must begin with https://')
}

/** A parameter of the authorization response in the registered query would be sent twice (RFC 6749 §3.1). */
export function reservedNameFaults(uris: string[]): string[] {
  return uris.flatMap((uri) =>
    [...new URLSearchParams(uri.split('?').slice(1).join('?')).keys()]
      .filter((name) => ANSWER_PARAMETERS.has(name))
      .map(
        (name) =>
          `redirect URI ${JSON.stringify(uri)}: its query must not contain ${name}, which answers to the app contain`,
      ),
  )
}

/** Whether it is one of these, character for character. A native app may name any port of loopback (RFC 8252 §7.3). */
export function isRegisteredUri(uri: string, registered: string[], isNative: boolean): boolean {
  if (registered.includes(uri)) return true
  const portless = isNative ? withoutLoopbackPort(uri) : null
  return portless !== null && registered.some((each) => withoutLoopbackPort(each) === portless)
}

/** The URL, or what is wrong with one that programs may parse in different ways. */
export function plainUrl(uri: string): URL | string {
  const url = URL.parse(uri)
  if (url === null || !/^[\x21-\x7e]{1,2000}$/.test(uri)) return 'is not an absolute URI'
  if (uri.includes('*')) return 'wildcards are not allowed'
  if (uri.includes('#')) return 'a fragment is not allowed'
  if (url.username !== '' || url.password !== '' || /^[a-z]+:\/\/[^/]*@/i.test(uri))
    return 'a user name in it is not allowed'
  // Browsers read https:host and https:///host as https://host, and %2e as a dot.
  if (uri.includes('\\') || /^https?:(?!\/\/[^/])|\/(\.|%2e){1,2}(\/|$|\?)/i.test(uri))
    return 'must be written in its plain form'
  return url
}

/** Null for anything but http on loopback. */
function withoutLoopbackPort(uri: string): string | null {
  const parts = /^(http:\/\/(?:[\w.-]+|\[[\d:a-f]+\]))(?::\d{1,5})?((?:[/?][\x21-\x7e]*)?)$/.exec(uri)
  const url = URL.parse(uri)
  return parts !== null && url !== null && isLoopback(url.hostname) ? `${parts[1]}${parts[2]}` : null
}
