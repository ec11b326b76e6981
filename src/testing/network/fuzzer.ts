import type { Endpoint } from '../portal/endpoints.ts'
import type { Random } from '../portal/random.ts'

/** Part of every hostile value; a page that holds it unescaped reflects its input. */
export const MARK = '<x-fuzz'

/** What a request may hold besides nonsense, so that it passes the first checks. */
export interface Sense {
  /** Values for each form field or query parameter. */
  fields: Record<string, string[]>
  /** Lines of a header, such as the cookie of a signed-in user. */
  cookies: string[]
  authorizations: string[]
  host: string
  origin: string
}

const NONSENSE = [
  '',
  '\0',
  'a\0b',
  `"'>${MARK}>`,
  `javascript:${MARK}`,
  `${MARK}\r\nX-Fuzz: 1`,
  '\r\nX-Fuzz: 1\r\n\r\n',
  '../../etc/passwd',
  '//evil.example.test',
  String.raw`/\evil.example.test`,
  '__proto__',
  'constructor',
  '[object Object]',
  '-1',
  '1e999',
  '9'.repeat(30),
  '2026-02-30T25:00:00Z',
  '00000000-0000-0000-0000-000000000000',
  '{"a":[null]}',
  `{"id_token":{"${MARK}":null}}`,
  '['.repeat(500),
  'a'.repeat(3000),
  '\u{1f6b2}'.repeat(50),
  '\u202e\u0301\ufeff\u3164',
  "' OR 1=1--",
  '$ne',
  '%s%n',
  '${7*7}<%= 1 %>',
  'a b\tc',
  'none',
  'login consent',
  'urn:ietf:params:oauth:request_uri:x',
  'eyJhbGciOiJub25lIn0.e30.',
]

/** Percent-encoding never produces these, so they stay as they are. */
const BROKEN = ['%', '%zz', '%00', '%ff%fe', '%ed%a0%80', '%c0%af', '&&==&', '[]', '+']

const NAMES = ['__proto__', 'constructor', 'a[b]', 'a[]', '', 'request', 'claims', 'max_age', 'ui_locales', 'display']

const METHODS = ['PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD', 'TRACE', 'PROPFIND']

const TYPES = [
  'application/json',
  'text/plain',
  'multipart/form-data; boundary=b',
  'application/x-www-form-urlencoded; charset=utf-7',
  'application/x-www-form-urlencoded; charset="utf-8',
  '',
  ';',
  MARK,
]

const HEADERS: Record<string, string[]> = {
  Accept: ['*/*', 'application/json', 'text/html;q=x', ''],
  'Accept-Language': ['de', '*', 'x'.repeat(500)],
  'Accept-Encoding': ['gzip', 'br;q=9'],
  Origin: ['null', 'https://evil.example.test', MARK],
  Referer: ['https://evil.example.test/', MARK],
  'Sec-Fetch-Site': ['same-origin', 'cross-site', 'none', MARK],
  'X-Forwarded-For': [
    '203.0.113.2:50001',
    '[2001:db8::1%x]:1',
    'unknown',
    MARK,
    ',,,',
    '1.1.1.1,'.repeat(50),
    'x'.repeat(3000),
  ],
  'X-Forwarded-Host': ['evil.example.test', MARK],
  'X-Request-Id': [MARK, 'x'.repeat(1000)],
  Forwarded: [`for="${MARK}"`, 'for=1.1.1.1;host=evil.example.test'],
  'User-Agent': [
    '',
    MARK,
    '\u00ff'.repeat(600),
    'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
  ],
  'Content-Encoding': ['gzip', 'deflate', 'x'],
  DPoP: ['x', 'eyJhbGciOiJub25lIn0.e30.', MARK],
  Prefer: ['wait=1', 'wait=-1', 'wait="'],
  'If-None-Match': ['*', '"x"', 'W/'],
  'If-Modified-Since': ['x'],
  Range: ['bytes=0-0,-1', 'bytes=-'],
  Expect: ['100-continue', 'tea'],
  Upgrade: ['websocket', 'h2c'],
  'HTTP2-Settings': ['x'],
  Connection: ['keep-alive, upgrade', 'close, x'],
  'X-HTTP-Method-Override': ['DELETE'],
  Date: ['x'],
}

/** Generates requests from a seed: each is framed correctly, and everything in it may be wrong. */
export class Fuzzer {
  readonly #random: Random
  readonly #endpoints: Endpoint[]
  readonly #sense: Sense
  readonly #names: string[]

  constructor(random: Random, endpoints: Endpoint[], sense: Sense) {
    this.#random = random
    this.#endpoints = endpoints
    this.#sense = sense
    this.#names = Object.keys(sense.fields)
  }

  /** A request whose body is as long as it says, so that the next one on its connection starts at its end. */
  request(): string {
    const random = this.#random
    const endpoint = random.pick(this.#endpoints)
    const method = random.is(0.93) ? endpoint.method : random.pick(METHODS)
    const body = method === 'POST' || random.is(0.05) ? this.#fields() : null
    const query = random.is(method === 'GET' ? 0.5 : 0.1) ? `?${this.#fields()}` : ''
    const target = `${this.#path(endpoint.path)}${query}`
    // What a request line cannot hold would end the connection, and the requests after it.
    const line = `${method} ${target.replaceAll(/[\0-\x20\x7f]/g, '%20')} HTTP/1.1`
    return `${[line, ...this.#headers(body !== null)].join('\r\n')}\r\n${this.#framed(body)}`
  }

  /** Bytes that are no request, half a request, or request smuggling between a proxy and the server. */
  garbage(): string {
    const random = this.#random
    const request = this.request()
    const cut = random.below(request.length)
    return random.pick([
      request.slice(0, cut),
      request.slice(0, cut) + random.pick(NONSENSE) + request.slice(cut + random.below(5)),
      request.replace(
        /Content-Length: \d+/,
        `Content-Length: ${random.pick(['-1', '99999999999999999999', '0', 'x', '40000', '5, 6'])}`,
      ),
      request.replace('\r\n\r\n', '\r\nTransfer-Encoding: chunked\r\n\r\n'),
      request.replace(
        '\r\n\r\n',
        `\r\nTransfer-Encoding: ${random.pick(['identity', 'gzip, chunked', 'chunked, x', ' chunked'])}\r\n\r\n`,
      ),
      request.replace('HTTP/1.1', random.pick(['HTTP/1.0', 'HTTP/2.0', 'HTTP/9', ''])),
      request.replaceAll('\r\n', random.pick(['\n', '\r'])),
      request.replace(
        /Host: .*\r\n/,
        random.pick(['', 'Host: evil.example.test\r\n', 'Host: a\r\nHost: b\r\n', 'Host:\r\n']),
      ),
      request.replace('\r\n', `\r\n${'X: y\r\n'.repeat(3000)}`),
      request.replace('\r\n', `\r\nX: ${'x'.repeat(17_000)}\r\n`),
      Array.from({ length: 1 + random.below(200) }, () => String.fromCodePoint(random.below(256))).join(''),
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
      '\u0016\u0003\u0001\u0002\0\u0001\0\u0001\u00fc\u0003\u0003',
      'CONNECT example.test:443 HTTP/1.1\r\nHost: example.test\r\n\r\n',
    ])
  }

  #path(path: string): string {
    const random = this.#random
    const filled = path.replaceAll(/:(\w+)/g, () => this.#value('token'))
    if (random.is(0.9)) return filled
    return random.pick([
      `${filled}/`,
      `/${filled}`,
      `${filled}/..`,
      `${filled}${random.pick(BROKEN)}`,
      filled.toUpperCase(),
      '/*',
      '*',
    ])
  }

  #fields(): string {
    const random = this.#random
    const chosen = random.some(this.#names, 0.35)
    if (random.is(0.2)) chosen.push(random.pick(NAMES))
    if (random.is(0.1)) chosen.push(random.pick(this.#names))
    return chosen.map((name) => `${encodeURIComponent(name)}=${this.#value(name)}`).join('&')
  }

  /** As transmitted: percent-encoded, or broken. */
  #value(name: string): string {
    const random = this.#random
    if (random.is(0.05)) return random.pick(BROKEN)
    const known = this.#sense.fields[name]
    return encodeURIComponent(known !== undefined && random.is(0.6) ? random.pick(known) : random.pick(NONSENSE))
  }

  #headers(hasBody: boolean): string[] {
    const random = this.#random
    const { host, origin, cookies, authorizations } = this.#sense
    const lines = [`Host: ${host}`]
    if (hasBody && random.is(0.9)) lines.push(`Origin: ${origin}`)
    if (hasBody)
      lines.push(`Content-Type: ${random.is(0.9) ? 'application/x-www-form-urlencoded' : random.pick(TYPES)}`)
    if (random.is(0.6)) lines.push(`Cookie: ${this.#cookie(random.pick(cookies))}`)
    if (random.is(0.3)) lines.push(`Authorization: ${random.pick(authorizations)}`)
    for (const name of random.some(Object.keys(HEADERS), 0.06))
      lines.push(`${name}: ${random.pick(HEADERS[name] as string[])}`)
    return lines
  }

  #cookie(cookie: string): string {
    const random = this.#random
    if (random.is(0.85)) return cookie
    const at = random.below(cookie.length)
    return random.pick([
      cookie.slice(0, at),
      `${cookie}; ${cookie}`,
      `=; ;;${cookie}`,
      cookie.replace('=', `=s%3A${MARK}`),
    ])
  }

  /** The remaining headers and the body, with a length or chunked. */
  #framed(body: string | null): string {
    if (body === null) return '\r\n'
    if (this.#random.is(0.8)) return `Content-Length: ${body.length}\r\n\r\n${body}`
    const at = this.#random.below(body.length + 1)
    const chunks = [body.slice(0, at), body.slice(at)].filter((chunk) => chunk !== '')
    return `Transfer-Encoding: chunked\r\n\r\n${chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join('')}0\r\n\r\n`
  }
}
