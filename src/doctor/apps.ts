import pLimit from 'p-limit'
import { type BackChannelClient, createBackChannelClient } from '../backchannel/http-client.ts'
import { isPublic } from '../backchannel/reached-ips.ts'
import { type Config, isLoopback } from '../config.ts'
import { type Finding, finding } from '../domain/findings.ts'
import { findAppsByName } from '../storage/apps.ts'
import { addressesOf } from './addresses.ts'
import { type AppUri, commandFor, inWords, isAsked, urisOf } from './app-uris.ts'
import type { Patient } from './patient.ts'

/** How long all of them may take, and one answer (ms). */
const ALL_MS = 12_000
const ANSWER_MS = 4000
const AT_ONCE = 32
const PAGE = 200
/** What says that there is nothing, or that it does not work. */
const GONE = new Set([404, 410])
/** Names for tests and documentation, which have no address (RFC 2606). */
const FOR_TRIALS = /(^|\.)(test|example|example\.(com|net|org))$/
const ELSEWHERE = 'https://…'
const ALL_STATUSES = Array.from({ length: 500 }, (_, index) => index + 100)

/** The URIs of every enabled app: how they are written, whether their hosts exist, and whether something answers. */
export async function examineApps(patient: Patient): Promise<Finding[]> {
  const { config } = patient
  const channel = createBackChannelClient({ allowedNetworks: config.allowedNetworks, timeoutMs: ANSWER_MS })
  const begun = performance.now()
  const turns = pLimit(AT_ONCE)
  let left = 0
  try {
    const uris = await listUris(patient)
    const found = uris.flatMap((each) => lookAt(config, each))
    const hosts = new Hosts()
    const asked = await Promise.all(
      withoutRepetition(uris).map(async (each) =>
        turns(async () => {
          if (performance.now() - begun < ALL_MS) return ask(each, config, hosts, channel)
          left++
          return []
        }),
      ),
    )
    const late =
      left === 0 ? [] : [notChecked(`${left} addresses of apps were not asked, because others took too long.`)]
    return [...found, ...asked.flat(), ...hosts.trouble(), ...late]
  } finally {
    channel.close()
  }
}

async function listUris({ storage }: Patient): Promise<AppUri[]> {
  const uris: AppUri[] = []
  let after: [string, string] | null = null
  for (;;) {
    const page = await findAppsByName(storage, { prefix: '', isDisabled: false, after, limit: PAGE })
    uris.push(...page.flatMap(urisOf))
    const last = page.at(-1)
    if (last === undefined || page.length < PAGE) return uris
    after = [last.nameKey, last.clientId]
  }
}

/** What can be seen without asking anyone. */
function lookAt({ production, publicUrl, allowedNetworks }: Config, each: AppUri): Finding[] {
  const { url, app } = each
  const portal = new URL(publicUrl)
  const found: Finding[] = []
  // A notification may go to an allowed network without TLS; where it may not, the request says so.
  const isAllowed = isAsked(each) && allowedNetworks.length > 0
  if (production && url.protocol === 'http:' && !isLoopback(url.hostname) && !isAllowed)
    found.push(
      finding(
        'app_uri_insecure',
        `${inWords(each)} is http: what is sent there can be read on the way.`,
        commandFor(each, each.uri.replace(/^http:/, 'https:')),
      ),
    )
  const isBeside = url.hostname === portal.hostname && url.host !== portal.host && !app.isNative && !isAsked(each)
  if (isBeside)
    found.push(
      finding(
        'app_on_portal_host',
        `${inWords(each)} has the host name of the portal: browsers send it the cookies of the portal, because cookies have no port.`,
        commandFor(each, ELSEWHERE),
        isLoopback(url.hostname) ? 'hint' : 'warning',
      ),
    )
  return found
}

/** Of URIs that only browsers open, one of each origin is enough. */
function withoutRepetition(uris: AppUri[]): AppUri[] {
  const keyOf = ({ use, uri, url, app }: AppUri) =>
    use === 'redirect' || use === 'post-logout' ? `${app.clientId} ${url.origin}` : `${use} ${app.clientId} ${uri}`
  return [...new Map(uris.map((each) => [keyOf(each), each])).values()]
}

async function ask(each: AppUri, config: Config, hosts: Hosts, channel: BackChannelClient): Promise<Finding[]> {
  const { url, use } = each
  const isHere = isLoopback(url.hostname)
  // Only a browser on the same machine opens them, and a native app listens there for a moment.
  if (isHere && (use === 'redirect' || use === 'post-logout')) return []
  const addresses = await hosts.addressesOf(url.hostname)
  if (addresses === 'unknown') {
    const severity = FOR_TRIALS.test(url.hostname) ? 'hint' : 'warning'
    const sentence = `${inWords(each)} has a host name without an address.`
    return [finding('app_host_unknown', sentence, commandFor(each, ELSEWHERE), severity)]
  }
  if (addresses === 'not checked') return []
  const outcome = await answerOf(each, channel)
  if (outcome === null) return []
  if (!outcome.includes('ALLOWED_NETWORKS'))
    return [finding('app_unreachable', `${inWords(each)} does not work: ${outcome}.`, commandFor(each, ELSEWHERE))]
  // A browser reaches an intranet that the portal may not ask.
  if (!isAsked(each)) return []
  const privates = addresses.filter((address) => !isPublic(address))
  const networks = privates.map((address) => `${address}/${address.includes(':') ? 128 : 32}`)
  return [
    finding(
      'app_address_private',
      `${inWords(each)} gets nothing from the portal: ${outcome}.`,
      privates.length === 0
        ? commandFor(each, each.uri.replace(/^http:/, 'https:'))
        : `ALLOWED_NETWORKS=${[...config.allowedNetworks, ...networks].join(',')}`,
    ),
  ]
}

/** What does not work, as the end of a sentence about it; null where it works. */
async function answerOf({ use, uri, url }: AppUri, channel: BackChannelClient): Promise<string | null> {
  if (use === 'keys') {
    const download = await channel.get(uri, 100_000)
    return download.kind === 'failed' ? download.problem : null
  }
  // A notification without a token: an app refuses it (400), and ends nothing.
  const outcome =
    use === 'logout' || use === 'events'
      ? await channel.post(uri, { contentType: use === 'logout' ? FORM : EVENT, text: '' }, ALL_STATUSES)
      : await channel.look(use === 'home' ? uri : `${url.origin}/`, ALL_STATUSES)
  const { kind, status } = outcome
  if (status === undefined) return kind === 'unreachable' ? outcome.problem : null
  // The page at the root says nothing about a redirect URI.
  const isJudged = use !== 'redirect' && use !== 'post-logout'
  return isJudged && (GONE.has(status) || status >= 500) ? `answered ${status}` : null
}

const FORM = 'application/x-www-form-urlencoded'
const EVENT = 'application/secevent+jwt'

/** Looks each host name up once. */
class Hosts {
  readonly #known = new Map<string, Promise<string[] | 'unknown' | 'not checked'>>()
  readonly #failed = new Set<string>()

  async addressesOf(hostname: string): Promise<string[] | 'unknown' | 'not checked'> {
    const known = this.#known.get(hostname) ?? this.#find(hostname)
    this.#known.set(hostname, known)
    return known
  }

  /** The names that no DNS server answered for. */
  trouble(): Finding[] {
    const names = [...this.#failed]
    if (names.length === 0) return []
    return [
      notChecked(`No DNS server answered for ${names.slice(0, 3).join(', ')}${names.length > 3 ? ' and others' : ''}.`),
    ]
  }

  async #find(hostname: string): Promise<string[] | 'unknown' | 'not checked'> {
    return addressesOf(hostname).catch(({ code }: NodeJS.ErrnoException) => {
      if (code === 'ENOTFOUND' || code === 'ENODATA') return 'unknown'
      this.#failed.add(hostname)
      return 'not checked'
    })
  }
}

function notChecked(sentence: string): Finding {
  return finding('not_checked', sentence, 'gatehouse doctor')
}
