import { isLoopback } from '../config.ts'
import { type Finding, finding } from '../domain/findings.ts'
import { type Arrival, makeProbe, PROBE_HEADER, PROBE_PATH, readProbeAnswer } from '../domain/keys/probes.ts'
import { readVersion } from '../domain/version.ts'
import { examineCertificate } from './certificates.ts'
import { findSkew } from './clocks.ts'
import type { Patient } from './patient.ts'
import { examineProxies, MARKER } from './proxies.ts'
import { reasonOf } from './reasons.ts'

const TIMEOUT_MS = 5000
const DISCOVERY = '/.well-known/openid-configuration'

/** Asks PUBLIC_URL as a client does: TLS, proxy headers, host, cookies, and whether this portal is what answers. */
export async function examinePublicUrl(patient: Patient): Promise<Finding[]> {
  const { publicUrl } = patient.config
  const isHttps = publicUrl.startsWith('https:')
  const found: Finding[] = []
  try {
    if (isHttps) found.push(...(await examineCertificate(publicUrl, patient.clock())))
  } catch (error) {
    return [unreachable(patient, error)]
  }
  // Nothing can be fetched from a server whose certificate does not hold.
  if (found.some(({ severity }) => severity === 'error')) return found
  return [...found, ...(await examineAnswers(patient)), ...(isHttps ? await examinePlainHttp(publicUrl) : [])]
}

async function examineAnswers(patient: Patient): Promise<Finding[]> {
  const { config, secrets, clock } = patient
  const probe = makeProbe(secrets, clock())
  const before = clock()
  let response
  let body
  try {
    response = await ask(`${config.publicUrl}${PROBE_PATH}`, { [PROBE_HEADER]: probe, 'X-Forwarded-For': MARKER })
    body = await response.text()
  } catch (error) {
    return [unreachable(patient, error)]
  }
  const said = new Date(response.headers.get('date') ?? Number.NaN)
  const skew = Number.isNaN(said.getTime())
    ? []
    : findSkew(`the server of ${config.publicUrl}`, said, before, clock(), 1)
  const { status } = response
  if (status >= 300 && status < 400) return [...skew, redirected(config.publicUrl, response)]
  if (status >= 502 && status <= 504) return [...skew, notRunning(patient, status)]
  const arrival = readProbeAnswer(secrets, probe, body)
  if (arrival === null) return [...skew, await other(config.publicUrl, status)]
  return [
    ...skew,
    ...sameness(patient, arrival),
    ...hosts(patient, arrival),
    ...trust(patient, arrival),
    ...scheme(config.publicUrl, arrival),
    ...headers(config.publicUrl, response),
  ]
}

/** Whether the portal that answers is the one that these settings are for. */
function sameness({ config }: Patient, { version, publicUrl }: Arrival): Finding[] {
  const ours = readVersion()
  const found: Finding[] = []
  if (publicUrl !== config.publicUrl)
    found.push(
      finding(
        'portal_outdated',
        `The portal that answers runs with PUBLIC_URL=${publicUrl}, and here PUBLIC_URL is ${config.publicUrl}.`,
        `PUBLIC_URL=${publicUrl}`,
      ),
    )
  if (version !== ours)
    found.push(
      finding(
        'portal_outdated',
        `The portal that answers is version ${version}, and ${ours} is installed here.`,
        'systemctl restart gatehouse',
      ),
    )
  return found
}

function trust({ config: { trustProxy } }: Patient, arrival: Arrival): Finding[] {
  const found = examineProxies(arrival, trustProxy)
  if (found.length > 0 || String(trustProxy) === String(arrival.trustProxy)) return found
  return [
    finding(
      'portal_outdated',
      `The portal that answers runs with TRUST_PROXY=${arrival.trustProxy}, and here it is ${trustProxy}.`,
      'systemctl restart gatehouse',
    ),
  ]
}

function hosts({ config }: Patient, { host, isOwnHost, publicUrl }: Arrival): Finding[] {
  if (isOwnHost || publicUrl !== config.publicUrl) return []
  return [
    finding(
      'proxy_host',
      `The proxy passes on the Host ${host} in place of ${new URL(publicUrl).host}, and the portal refuses every request (421).`,
      'proxy_set_header Host $http_host;',
    ),
  ]
}

function scheme(publicUrl: string, { forwardedProto }: Arrival): Finding[] {
  const own = new URL(publicUrl).protocol.slice(0, -1)
  if (forwardedProto === null || forwardedProto === own) return []
  if (forwardedProto === 'https')
    return [
      finding(
        'cookies_insecure',
        'The proxy says that browsers use https, and PUBLIC_URL is http: cookies are set without Secure.',
        `PUBLIC_URL=${publicUrl.replace(/^http:/, 'https:')}`,
      ),
    ]
  return [
    finding(
      'proxy_scheme',
      `The proxy says ${forwardedProto} in X-Forwarded-Proto, and PUBLIC_URL is ${own}.`,
      'proxy_set_header X-Forwarded-Proto $scheme;',
    ),
  ]
}

/** What the portal sends has to arrive: HSTS, and the attributes of its cookies. */
function headers(publicUrl: string, response: Response): Finding[] {
  if (!publicUrl.startsWith('https:')) return []
  const found: Finding[] = []
  const plain = response.headers.getSetCookie().filter((cookie) => !/;\s*secure\s*(;|$)/i.test(cookie))
  if (plain.length > 0)
    found.push(
      finding(
        'cookies_insecure',
        `Cookies arrive without Secure: ${plain.map((cookie) => cookie.split('=', 1)[0]).join(', ')}. The proxy changes them.`,
        'proxy_cookie_flags off;',
      ),
    )
  if (!response.headers.has('strict-transport-security'))
    found.push(
      finding(
        'hsts_missing',
        'Strict-Transport-Security does not arrive: the proxy takes it away.',
        'proxy_pass_header Strict-Transport-Security;',
      ),
    )
  return found
}

/** Port 80 beside the usual port of https. A closed one is fine. */
async function examinePlainHttp(publicUrl: string): Promise<Finding[]> {
  const { hostname, port } = new URL(publicUrl)
  if (port !== '') return []
  const response = await ask(`http://${hostname}/`).catch(() => null)
  await response?.body?.cancel()
  if (response === null || response.status >= 400) return []
  if (response.headers.get('location')?.startsWith('https:') === true) return []
  return [
    finding(
      'http_not_redirected',
      `http://${hostname}/ answers ${response.status}, and does not send browsers to https.`,
      'return 301 https://$host$request_uri;',
    ),
  ]
}

function redirected(publicUrl: string, { headers, status }: Response): Finding {
  const target = URL.parse(headers.get('location') ?? '', publicUrl)
  const isElsewhere = target !== null && target.origin !== publicUrl
  return finding(
    'public_url_redirects',
    isElsewhere
      ? `PUBLIC_URL redirects to ${target.origin} (${status}).`
      : `PUBLIC_URL redirects to itself (${status}): the proxy takes a request over https for one over http.`,
    isElsewhere ? `PUBLIC_URL=${target.origin}` : 'proxy_pass http://127.0.0.1:3000;',
  )
}

function notRunning({ config: { port } }: Patient, status: number): Finding {
  return finding(
    'portal_not_running',
    `The proxy answers ${status}: the portal does not run, or the proxy does not reach it.`,
    `proxy_pass http://127.0.0.1:${port};`,
  )
}

async function other(publicUrl: string, status: number): Promise<Finding> {
  const issuer = await findIssuer(publicUrl)
  if (issuer === null)
    return finding(
      'public_url_other',
      `Something else than this portal answers at ${publicUrl} (status ${status}).`,
      `PUBLIC_URL=${publicUrl}`,
    )
  if (issuer !== publicUrl)
    return finding('public_url_other', `What answers at ${publicUrl} is the issuer ${issuer}.`, `PUBLIC_URL=${issuer}`)
  return finding(
    'public_url_other',
    `The portal that answers at ${publicUrl} has another GATEHOUSE_SECRET or an older version than this command, or its clock differs by minutes.`,
    'systemctl restart gatehouse',
  )
}

/** The issuer that is discovered there; null where there is none. */
async function findIssuer(publicUrl: string): Promise<string | null> {
  try {
    const { issuer } = (await (await ask(`${publicUrl}${DISCOVERY}`)).json()) as { issuer?: unknown }
    return typeof issuer === 'string' && URL.canParse(issuer) ? issuer : null
  } catch {
    return null
  }
}

function unreachable({ config: { publicUrl, port } }: Patient, error: unknown): Finding {
  const { hostname } = new URL(publicUrl)
  const sentence = `${publicUrl} does not answer: ${reasonOf(error)}.`
  // Without a proxy it is the portal itself that answers there.
  const isItself =
    publicUrl.startsWith('http:') && isLoopback(hostname) && Number(new URL(publicUrl).port || 80) === port
  return finding('public_url_unreachable', sentence, isItself ? 'gatehouse serve' : `PUBLIC_URL=${publicUrl}`)
}

async function ask(url: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url, {
    redirect: 'manual',
    headers: { 'User-Agent': 'Gatehouse doctor', ...headers },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  })
}
