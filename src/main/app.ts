import type { IncomingMessage, ServerResponse } from 'node:http'
import express, { type Request, type Response } from 'express'
import { createAdminApi, isAdminApi } from '../api/admin-api.ts'
import { createSourceEvents, isSourceEvents } from '../api/identity-source-events.ts'
import { createScim, isScim } from '../api/scim/scim.ts'
import { createSimpleApi, isSimpleApi } from '../api/auth/simple-api.ts'
import { createBackChannelClient } from '../backchannel/http-client.ts'
import { type Config, isLoopback, wrongSettings } from '../config.ts'
import { findLivingIdentitySession } from '../domain/sign-in/identity-sessions.ts'
import type { Services } from '../domain/services.ts'
import { closeUnread, hasBody, LONGEST_BODY, receiveBody } from '../http/bodies.ts'
import { type Assets, createAssets } from '../http/assets.ts'
import { brandFiles, brandOfPages } from '../http/brand.ts'
import type { HttpContext } from '../http/context.ts'
import { answerHealth, answerReadiness } from '../http/health.ts'
import { createCertificateReader } from '../http/middleware/client-certificate.ts'
import { createClientIpReader } from '../http/middleware/client-ip.ts'
import { compressPages } from '../http/middleware/compression.ts'
import { errorPage } from '../http/middleware/error-page.ts'
import { keepOpenerOnPath } from '../http/middleware/opener.ts'
import { logRequest } from '../http/middleware/request-log.ts'
import { csrfProtection } from '../http/middleware/csrf-protection.ts'
import { pageHeaders, setBaseHeaders } from '../http/middleware/security-headers.ts'
import { findIdentitySessionId, identityCookie } from '../http/middleware/session.ts'
import { createMetricsAnswer } from '../http/metrics-answer.ts'
import { createMisdirectedAnswer } from '../http/misdirected.ts'
import { countRequest } from '../http/request-counts.ts'
import { signOut } from '../http/sign-in.ts'
import { formRefused, notFound } from '../http/http-errors.ts'
import { answerProbeRequest, isProbeRequest } from '../http/probes.ts'
import { createProtocolPages } from '../http/protocol-pages.ts'
import { createTemplates, type Templates } from '../http/templates.ts'
import { BrokenView } from '../http/views.ts'
import { chooseTexts } from '../http/texts.ts'
import { readTarget, recognizeHost } from '../http/request-target.ts'
import { createRoutes, isPublicFile } from '../http/routes.ts'
import { separateCookies } from '../http/shared-cookies.ts'
import type { Logger } from '../logger.ts'
import { errorUri } from '../oidc/error-codes.ts'
import { isFormRequest, readFormRequest } from '../oidc/form-requests.ts'
import { createProtocol, isMachineEndpoint, type Protocol } from '../oidc/provider.ts'
import { Scraper } from './scraper.ts'
import { closeServices, openServices } from './services.ts'

export interface App {
  services: Services
  protocol: Protocol
  scraper: Scraper
  /** Answers one request. Never throws: an unexpected error is logged and answered with 500. */
  handle(req: IncomingMessage, res: ServerResponse): void
  close(): Promise<void>
}

/** Beside those of programs, what is answered without the table of routes. */
const OTHER_ENDPOINTS = new Set(['/healthz', '/readyz', '/metrics', '/oauth/authorize'])

/** How long the server of a client's keys may take for all of its answer, and how long that may be (bytes). */
const KEYS_TIMEOUT_MS = 2500
const LONGEST_KEY_SET = 100_000

/** Composition root: both transports (pages and protocol) on one set of rules. */
export async function openApp(config: Config, logger: Logger, clock?: () => Date): Promise<App> {
  const services = await openServices(config, logger, clock)
  const assets = await createAssets(config.development, brandFiles(config.brand))
  const renderer = openTemplates(config, assets)
  const texts = {
    organisation: config.brand.name,
    defaultLocale: config.policy.defaultLocale,
    hasPseudoLocale: config.development,
  }
  const isHttps = config.publicUrl.startsWith('https:')
  const { host, hostname } = new URL(config.publicUrl)
  const strictTransport = isHttps ? { includeSubDomains: config.hstsIncludeSubdomains } : null
  const isOwnHost = recognizeHost(config.publicUrl)

  const channel = createBackChannelClient({ ...config, timeoutMs: KEYS_TIMEOUT_MS })
  const protocol = createProtocol(services, {
    pages: createProtocolPages(renderer, (req) => chooseTexts(req, texts)),
    logger,
    forDevelopers: config.development,
    // An app's logout arrives through Express, which has put its session on these objects.
    signOut: async (req, res) => void (await signOut(req as Request, res as Response, 'signed_out_by_app')),
    async findSignedIn(req) {
      const id = await findIdentitySessionId(services, services.storage.browserSessions, req)
      return id === null ? null : findLivingIdentitySession(services, id, req.clientInfo)
    },
    findCertificate: config.certHeader === null ? null : createCertificateReader(config),
    fetchFile: (uri) => channel.get(uri, LONGEST_KEY_SET),
  })

  const forOperators = {
    logger,
    findPresentedKeys: protocol.findPresentedKeys,
    closeUnread,
  }
  const adminApi = createAdminApi(services, forOperators)
  const scim = createScim(services, forOperators)
  const sourceEvents = createSourceEvents(services, forOperators)
  const simpleApi = createSimpleApi(services, { logger, ask: protocol.askWithin })

  const pages = express()
  // The mail preview shows links that open accounts, so it exists only on a loopback host, even when NODE_ENV is forgotten.
  const mailFolder = isLoopback(hostname) ? config.mailFolder : null
  const context: HttpContext = {
    services,
    templates: renderer,
    logger,
    mailFolder,
    texts,
    provider: protocol.provider,
    preload: () => [
      assets.urlOf('style.css'),
      ...brandOfPages(config.brand).styles.map((style) => assets.urlOf(style)),
    ],
  }
  pages.locals['context'] = context
  pages.disable('x-powered-by')
  // No page is stored, and each has an id of its own for its form; static files have their own ETag.
  pages.disable('etag')
  pages.set('query parser', 'simple')
  // PUBLIC_URL decides what browsers see, also behind a proxy that terminates TLS.
  Object.defineProperty(pages.request, 'secure', { get: () => isHttps })
  pages.use(pageHeaders(), compressPages())
  pages.use((req, _res, next) => next(req.failure))
  pages.use(
    createRoutes(
      assets.serve,
      identityCookie(services, services.storage.browserSessions),
      csrfProtection(config.publicUrl),
      async (req, res) => protocol.handle(req, res),
    ),
  )
  pages.use((_req, _res, next) => next(notFound()))
  pages.use(errorPage)

  const scraper = new Scraper(services)
  const answerMetrics = createMetricsAnswer(config.metricsToken, async () => scraper.scrape())
  const findAddress = createClientIpReader(config.trustProxy, logger, () =>
    services.tally.count('forwarded_for_ignored'),
  )
  const separate = separateCookies(config.publicUrl)

  const answerMisdirected = createMisdirectedAnswer({
    publicUrl: config.publicUrl,
    logger,
    clock: services.clock,
    showPage(req, res, error) {
      req.failure = error
      pages(req as Request, res as Response)
    },
  })

  const answer = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const target = readTarget(req.url ?? '', req.headers.host)
    if (target !== null) req.url = target.path
    const address = findAddress(req)
    // The client has reset the connection, or the connection is closing: no answer is possible.
    if (address === null || !req.socket.writable) return
    logRequest(req, res, logger, (seconds) => countRequest(services.metrics, req, res, seconds))
    setBaseHeaders(res, strictTransport)
    // Upgrades are ignored. Node.js loses requests pipelined behind one, so the client must send those again.
    if (req.headers.upgrade !== undefined) res.setHeader('Connection', 'close')
    req.clientInfo = {
      browser: (req.headers['user-agent'] ?? '').slice(0, 400),
      address,
      requestId: req.requestId,
    }
    const path = (req.url ?? '').split('?', 1)[0] as string
    if (isMachineEndpoint(path) || OTHER_ENDPOINTS.has(path)) req.routePattern = path
    // The admin API reads the body itself, once it has seen the token.
    const api = isAdminApi(path) ? adminApi : isScim(path) ? scim : isSourceEvents(path) ? sourceEvents : null
    try {
      if (hasBody(req) && api === null && !(await receiveBody(req))) return
    } catch (error) {
      closeUnread(req, res)
      req.failure = error
    }

    keepOpenerOnPath(res, path)
    if (path === '/healthz') return answerHealth(res)
    if (path === '/readyz') return answerReadiness(res, async () => services.storage.ping())
    // Two Host headers are request smuggling between a proxy and the server (RFC 9112 §3.2).
    if (countHosts(req.rawHeaders) !== 1) return refuse(res, 400, 'A request names one host.')
    if (target === null) return refuse(res, 400, 'A request asks for a path, or for an absolute http or https address.')
    // A scraper knows this process by its IP address or by a name of the inner network.
    if (path === '/metrics' && (await answerMetrics(req, res, target.authority))) return
    if (isProbeRequest(services, req, path)) {
      const how = { isOwnHost: isOwnHost(target.authority), trustProxy: config.trustProxy }
      return answerProbeRequest(services, req, res, how)
    }
    // Host header attacks: a foreign host gets an error page only, and that page needs its style sheet from there.
    const isForSimpleApi = isSimpleApi(path)
    if (isForSimpleApi && !isOwnHost(target.authority)) return simpleApi.refuse(res, 'misdirected_request')
    if (isForSimpleApi && req.failure !== undefined) return simpleApi.refuse(res, 'body_too_long')
    if (!isOwnHost(target.authority) && !isPublicFile(path)) return answerMisdirected(req, res, target.authority)
    req.headers.host = host
    if (api !== null) return api.answer(req, res)
    if (isForSimpleApi) return simpleApi.answer(req, res)
    if (isFormRequest(req.method, path) && req.failure === undefined) {
      const form = await readFormRequest(req)
      if (form.kind === 'redirect') return redirect(res, form.location)
      req.failure = formRefused(form.kind)
    }
    if (!isMachineEndpoint(path)) separate(req, res)
    else if (req.failure !== undefined) return refuseBody(res, config.publicUrl)
    try {
      if (req.failure === undefined && (await protocol.answer(req, res))) return
    } catch (error) {
      // The error page for this failure must not ask the same stores again.
      req.failure = error
    }
    pages(req as Request, res as Response)
  }

  return {
    services,
    protocol,
    scraper,
    handle(req, res) {
      answer(req, res).catch((error: unknown) => {
        logger.error({ requestId: req.requestId, error }, 'request failed')
        if (res.headersSent) res.destroy()
        else refuse(res, 500, 'The portal made a mistake. It has been written down.')
      })
    },
    async close() {
      channel.close()
      await closeServices(services)
    },
  }
}

/** @throws ConfigError for a view of the organisation that does not compile */
function openTemplates({ development, brand }: Config, assets: Assets): Templates {
  try {
    return createTemplates(assets, { isLive: development, brand: brandOfPages(brand), overlay: brand.viewsDir })
  } catch (error) {
    throw error instanceof BrokenView ? wrongSettings([`VIEWS_DIR: ${error.message}`]) : error
  }
}

/** `req.headers` keeps only one Host, and `req.headersDistinct` would copy all headers. */
function countHosts(rawHeaders: string[]): number {
  return rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'host').length
}

function redirect(res: ServerResponse, location: string): void {
  res.writeHead(303, { Location: location, 'Cache-Control': 'no-store', 'Content-Length': 0 }).end()
}

function refuse(res: ServerResponse, status: number, words: string): void {
  res.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', Connection: 'close' }).end(`${words}\n`)
}

/** The answer for programs (RFC 6749 §5.2). */
function refuseBody(res: ServerResponse, publicUrl: string): void {
  res.writeHead(413, { 'Content-Type': 'application/json; charset=utf-8', 'Cache-Control': 'no-store' })
  const words = `the request body is longer than ${LONGEST_BODY} bytes`
  const error = 'invalid_request'
  res.end(JSON.stringify({ error, error_description: words, error_uri: errorUri(publicUrl, { error }) }))
}
