import { z } from 'zod'
import type { ValueType } from './setting.ts'

/** A URL with one of these schemes. */
export function url(...schemes: string[]): ValueType<string> {
  const prefixes = schemes.map((scheme) => `${scheme}://`)
  return {
    schema: z.string().refine(
      (value) => {
        const parsed = URL.parse(value)
        return parsed !== null && schemes.includes(parsed.protocol.slice(0, -1))
      },
      `must be a URL that begins with ${prefixes.join(' or ')}`,
    ),
    words: `a URL that begins with ${prefixes.map((prefix) => `\`${prefix}\``).join(' or ')}`,
  }
}

/** A URL whose user name and password must be percent-encoded. */
export function urlWithPassword(...schemes: string[]): ValueType<string> {
  const { schema, words } = url(...schemes)
  return { schema: z.string().refine(isEncoded, UNENCODED).pipe(schema), words }
}

/** An http or https URL without a user name. */
export function webUrl(): ValueType<string> {
  const { schema, words } = url('https', 'http')
  return {
    schema: schema.refine((value) => {
      const parsed = URL.parse(value)
      return parsed === null || `${parsed.username}${parsed.password}` === ''
    }, 'must be a URL without a user name'),
    words,
  }
}

/** A page, or an e-mail address as a `mailto:` link. */
export function contactUrl(): ValueType<string> {
  const page = webUrl()
  return {
    schema: z
      .string()
      .refine(
        (value) => /^mailto:[^\s@?<>]+@[^\s@?<>]+$/.test(value) || page.schema.safeParse(value).success,
        'must be a URL that begins with https://, http:// or mailto:',
      ),
    words: `${page.words}, or an e-mail address that begins with \`mailto:\``,
  }
}

/** An http or https URL without a path. It is read without a slash at its end. */
export function origin(): ValueType<string> {
  const { schema } = url('https', 'http')
  return {
    schema: schema
      .refine((value) => isOrigin(value), 'must be an origin: scheme, host and port, without a path')
      .transform((value) => new URL(value).origin),
    words: 'an origin: scheme, host and, where needed, port',
  }
}

/**
 * Origins at which passkeys are used, with commas between: with https, or of an Android app, which has the SHA-256 hash of its
 * signing certificate in it.
 */
export function passkeyOrigins(): ValueType<string[]> {
  const isAndroid = (value: string) => /^android:apk-key-hash:[\w-]{43}$/.test(value)
  return {
    schema: list()
      .refine(
        (values) =>
          values.every((value) => isAndroid(value) || (isOrigin(value) && URL.parse(value)?.protocol === 'https:')),
        'must be origins that begin with https://, without a path, or with android:apk-key-hash:, with commas between',
      )
      .transform((values) => values.map((value) => (isAndroid(value) ? value : new URL(value).origin))),
    words: 'origins that begin with `https://` or `android:apk-key-hash:`, with commas between',
  }
}

/** Where people report something: e-mail addresses, or URLs with https, mailto or tel, with commas between. */
export function contacts(): ValueType<string[]> {
  return {
    schema: list()
      // A bare e-mail address is no URI, and RFC 9116 §2.5.3 wants one.
      .transform((values) => values.map((value) => (/^[^@\s:/]+@[^@\s]+$/.test(value) ? `mailto:${value}` : value)))
      .refine(
        (values) =>
          values.every((value) => /^(?:https:\/\/|mailto:|tel:)[\x21-\x7e]+$/.test(value) && URL.canParse(value)),
        'must be e-mail addresses or URLs that begin with https://, mailto: or tel:, with commas between',
      ),
    words: 'e-mail addresses, or URLs that begin with `https://`, `mailto:` or `tel:`, with commas between',
  }
}

function list() {
  return z.string().transform((value) =>
    value
      .split(',')
      .map((each) => each.trim())
      .filter((each) => each !== ''),
  )
}

export function isOrigin(value: string): boolean {
  const parsed = URL.parse(value)
  return parsed !== null && parsed.href === `${parsed.origin}/`
}

/** One Redis, or the Sentinels or nodes that lead to it, with commas between. */
export function redisUrls(): ValueType<string> {
  return {
    schema: z
      .string()
      .refine((value) => value.split(',').every(isEncoded), UNENCODED)
      .refine(
        (value) => value.split(',').every((node, index) => isRedisNode(node, index === 0)),
        'must begin with redis://, rediss://, redis+sentinel:// or redis+cluster://',
      ),
    words:
      '`redis://…` or, with TLS, `rediss://…`; `redis+sentinel://user:password@host:port,host:port/name`; `redis+cluster://host:port,host:port`',
  }
}

/** After the first, the addresses of Sentinels and of a Cluster may come without their scheme. */
function isRedisNode(node: string, isFirst: boolean): boolean {
  const complete = isFirst || node.includes('://') ? node : `redis://${node}`
  return /^rediss?(\+sentinel|\+cluster)?:$/.test(URL.parse(complete)?.protocol ?? '')
}

/** Only this is said then: what else is wrong follows from it. */
const UNENCODED = {
  error:
    'has a character in its user name or password that ends it in a URL: percent-encode /, ?, #, % and @ (as %2F, %3F, %23, %25 and %40)',
  abort: true,
}

/**
 * False for a URL whose user name or password has a character that is not percent-encoded, so that a part of it would be taken
 * for a host, a port, a path or a query.
 */
function isEncoded(value: string): boolean {
  const [, scheme, rest = ''] = /^([\w+.-]+:)?\/\/(.*)$/s.exec(value) ?? []
  // Another fault is what is wrong with it.
  if (scheme === undefined) return true
  const [authority = ''] = rest.split(/[/?#]/, 1)
  const behind = rest.slice(authority.length)
  if (behind.includes('#')) return false
  // In a query, an @ is nothing unusual.
  if (/[:@]/.test(authority) && /^[^?]*@|^[^=]*\?[^=]*@/.test(behind)) return false
  try {
    decodeURIComponent(authority.slice(0, Math.max(0, authority.lastIndexOf('@'))))
    return true
  } catch {
    return false
  }
}
