import type { IncomingMessage, ServerResponse } from 'node:http'

/** What a response sets, in the names that handlers know, also once its headers are written. */
const written = new WeakMap<ServerResponse, string[]>()
/** The names of cookies in a request that its response will not replace. */
const lasting = new WeakMap<IncomingMessage, Set<string>>()

/** The suffix of a cookie's value: `~` and the portal's port. */
const MARK = /~\d+$/
/** How express-session writes an id (24 bytes) and its signature (32 bytes). */
const IDENTITY_COOKIE = /^s%3A[\w-]{32}\.[\w%]{43,}$/

/**
 * Browsers share the cookies of one http host between its ports (RFC 6265 §8.5), so two portals there would sign out each
 * other's users.
 * On http, the value of every cookie therefore ends in the port of its portal. A cookie with another port, or none, is never
 * overwritten or deleted. What would replace it is called `<name>-<port>`, and from then on that one is read. Where there is no
 * such cookie, the plain one is read, whatever its port: it may be from an earlier version, or from before the port changed.
 * Signatures and stores decide whether it is valid. Handlers see neither ports nor suffixes. On https, cookies stay as they
 * are.
 */
export function separateCookies(publicUrl: string): (req: IncomingMessage, res: ServerResponse) => void {
  const { protocol, port } = new URL(publicUrl)
  if (protocol === 'https:') return () => {}
  return (req, res) => {
    const shown = readCookies(req.headers.cookie ?? '', port || '80')
    if (req.headers.cookie !== undefined) req.headers.cookie = shown.header
    lasting.set(req, shown.lasting)
    const writeHead = res.writeHead.bind(res) as (...args: unknown[]) => ServerResponse
    res.writeHead = (...args: unknown[]) => {
      const lines = cookiesSetBy(res)
      if (lines !== undefined && !written.has(res)) {
        written.set(res, lines)
        res.setHeader('Set-Cookie', lines.flatMap(shown.rename))
      }
      return writeHead(...args)
    }
  }
}

/** The Set-Cookie headers of a response, in the names that handlers know; undefined when there are none. */
export function cookiesSetBy(res: ServerResponse): string[] | undefined {
  const lines = res.getHeader('set-cookie')
  return written.get(res) ?? (lines === undefined ? undefined : [lines].flat().map(String))
}

/** Whether a cookie of this request is still in its browser after the response has set another value of that name. */
export function outlivesAnswer(req: IncomingMessage, name: string): boolean {
  return lasting.get(req)?.has(name) === true
}

type Pair = [name: string, value: string]

interface Shown {
  header: string
  lasting: Set<string>
  rename: (line: string) => string[]
}

/** The cookies of one request as the portal reads them, and the names and values of those it sets. */
function readCookies(header: string, port: string): Shown {
  const suffix = `-${port}`
  const mark = `~${port}`
  const pairs = header
    .split(';')
    .map(splitPair)
    .filter(([name]) => name !== '')
  const separate = pairs.flatMap(([name, value]): Pair[] =>
    name.endsWith(suffix) ? [[name.slice(0, -suffix.length), value]] : [],
  )
  const separated = new Set(separate.map(([name]) => name))
  const plain = pairs.filter(([name]) => !name.endsWith(suffix))
  const read = [...separate, ...plain.filter(([name]) => !separated.has(name))]
  const ours = new Set(plain.flatMap(([name, value]) => (value.endsWith(mark) ? [name] : [])))
  const kept = new Set(plain.flatMap(([name, value]) => (ours.has(name) || isImpossible(name, value) ? [] : [name])))

  return {
    header: read.map(([name, value]) => `${name}=${value.replace(MARK, '')}`).join('; '),
    lasting: new Set([...kept].filter((name) => !separated.has(name))),
    rename(line) {
      const [pair = '', ...attributes] = line.split(';')
      const [name, value] = splitPair(pair)
      const write = (as: string) => [`${as}=${value === '' ? '' : value + mark}`, ...attributes].join(';')
      if (!separated.has(name)) return [write(kept.has(name) ? name + suffix : name)]
      // Deleting a cookie deletes both names: the plain one would be read from then on.
      return value === '' && ours.has(name) ? [write(name + suffix), write(name)] : [write(name + suffix)]
    },
  }
}

/** True for an identity cookie that no portal can have set, so overwriting it loses no sign-in. */
function isImpossible(name: string, value: string): boolean {
  return name === 'identity' && !IDENTITY_COOKIE.test(value.replace(MARK, ''))
}

function splitPair(pair: string): Pair {
  const at = pair.indexOf('=')
  return at === -1 ? ['', pair.trim()] : [pair.slice(0, at).trim(), pair.slice(at + 1).trim()]
}
