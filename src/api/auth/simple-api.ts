// api/auth/: the simple API, for apps that come from a small auth service.
//
// It owns the JSON in and out, and the codes of refusals. It leaves everything else to the endpoints of the protocol, which it asks
// in the name of its client: what they check, count and write down is all there is.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { createPublicKey, type JsonWebKey } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import accepts from 'accepts'
import type { z } from 'zod'
import { findRegisteredApp } from '../../domain/apps/apps.ts'
import { isUnavailable } from '../../domain/errors.ts'
import { Overloaded } from '../../domain/fair-queue.ts'
import { Refused } from '../../domain/refused.ts'
import type { Services } from '../../domain/services.ts'
import type { Logger } from '../../logger.ts'
import { type Answer, jsonAnswer } from '../answers.ts'
import { type Ask, Call } from './call.ts'
import { CODES, simpleAnchor, type SimpleCode, SimpleRefusal } from './codes.ts'
import { simpleOpenApi } from './openapi.ts'
import { refusalOf } from './protocol-refusals.ts'
import { type Route, ROUTES } from './routes.ts'

const PATH = '/api/auth'
const DOCUMENT = '/openapi.json'
const PUBLIC_KEY = '/public-key'
const PEM = 'application/x-pem-file'

/** Whether a path is one of the simple API. */
export function isSimpleApi(path: string): boolean {
  return path === PATH || path.startsWith(`${PATH}/`)
}

/** The simple API. It answers every request below its path with JSON, and never throws. */
export function createSimpleApi(services: Services, { logger, ask }: { logger: Logger; ask: Ask }) {
  const { publicUrl } = services
  let document: Answer | null = null

  async function answerRequest(req: IncomingMessage): Promise<Answer> {
    const [path = '', search = ''] = (req.url ?? '').split(/\?(.*)/s, 2)
    const below = path.slice(PATH.length)
    const route = Object.hasOwn(ROUTES, below) ? (ROUTES[below] as Route) : null
    if (route === null && below !== DOCUMENT && below !== PUBLIC_KEY) throw new SimpleRefusal('not_found')
    req.routePattern = path
    const allowed = route === null ? 'GET, HEAD' : 'POST'
    if (req.method === 'OPTIONS') return { status: 204, headers: { Allow: allowed }, body: null }
    if (!allowed.split(', ').includes(req.method ?? ''))
      throw new SimpleRefusal('method_not_allowed', `${path} has ${allowed}`, { allow: allowed })
    if (below === DOCUMENT) return (document ??= jsonAnswer(200, simpleOpenApi(publicUrl, PATH)))
    if (route === null) return publicKey(req, ask, publicUrl)
    // A query is logged by proxies, and could have a password in it.
    if (search !== '') throw new SimpleRefusal('invalid_request', 'there is no query: every field is in the body')
    const { client_id: id, client_secret: secret, ...input } = readInput(route, await readJson(req))
    const call = await callOf(req, { id, secret }, `${publicUrl}${path}`)
    return jsonAnswer(route.status, await route.act(call, input as never))
  }

  /** @throws SimpleRefusal for an app that may not use this API; whether it is this app, the protocol finds out */
  async function callOf(
    req: IncomingMessage,
    { id, secret }: Record<'id' | 'secret', string | undefined>,
    url: string,
  ): Promise<Call> {
    const clientId = id ?? basicId(req.headers.authorization)
    if (clientId === null) throw new SimpleRefusal('invalid_client', 'the app did not say who it is')
    const app = await findRegisteredApp(services, clientId)
    if (app !== null && !app.simpleApi) throw new SimpleRefusal('simple_api_off')
    const credentials = {
      ...(id === undefined ? {} : { client_id: id }),
      ...(secret === undefined ? {} : { client_secret: secret }),
    }
    return new Call(services, req, { id: clientId, app, credentials }, { ask, url })
  }

  function refusalFor(error: unknown, req: IncomingMessage): SimpleRefusal {
    if (error instanceof SimpleRefusal) return error
    if (isUnavailable(error) || error instanceof Overloaded)
      return new SimpleRefusal('unavailable', undefined, { retry_after: LATER })
    if (error instanceof Refused) return new SimpleRefusal('invalid_request', error.message)
    logger.error({ requestId: req.requestId, error }, 'the simple API failed')
    return new SimpleRefusal('server_error')
  }

  function refusalAnswer({ code, message, details: { allow, ...details } }: SimpleRefusal): Answer {
    const { status } = CODES[code]
    const seconds = details['retry_after']
    const headers = {
      ...(typeof seconds === 'number' ? { 'Retry-After': String(seconds) } : {}),
      ...(typeof allow === 'string' ? { Allow: allow } : {}),
      ...(code === 'invalid_client' ? { 'WWW-Authenticate': `Basic realm="${publicUrl}", charset="UTF-8"` } : {}),
    }
    const uri = `${publicUrl}/docs/errors#${simpleAnchor(code)}`
    return jsonAnswer(status, { error: code, error_description: message, error_uri: uri, ...details }, headers)
  }

  return {
    async answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
      const answered = await answerRequest(req).catch((error: unknown) => refusalAnswer(refusalFor(error, req)))
      write(res, answered, req.method === 'HEAD')
    },
    /** Refuses a request that has not come this far. */
    refuse(res: ServerResponse, code: SimpleCode): void {
      write(res, refusalAnswer(new SimpleRefusal(code)), false)
    },
  }
}

/** Seconds after which a store may answer again. */
const LATER = 5

function write(res: ServerResponse, { status, headers, body }: Answer, isHead: boolean): void {
  const length: Record<string, number> = body === null ? {} : { 'Content-Length': Buffer.byteLength(body) }
  res.writeHead(status, { ...headers, 'Cache-Control': 'no-store', ...length })
  res.end(isHead ? undefined : (body ?? undefined))
}

async function readJson(req: IncomingMessage): Promise<unknown> {
  const { 'content-type': type = '', 'content-encoding': encoding = 'identity' } = req.headers
  const body = await buffer(req)
  if (encoding !== 'identity' || !/^application\/json *(?:; *charset="?utf-8"? *)?$/i.test(type))
    throw new SimpleRefusal('unsupported_media_type')
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch {
    throw new SimpleRefusal('invalid_request', 'the body is not JSON')
  }
}

function readInput({ input }: Route, json: unknown): Record<string, string | undefined> {
  const read = input.safeParse(json)
  if (read.success) return read.data as Record<string, string | undefined>
  const fields = read.error.issues.slice(0, 20).map(describeIssue)
  const named = fields.map(([field]) => field).join(', ')
  throw new SimpleRefusal('invalid_request', `the body is not what it should be: ${named}`, {
    fields: Object.fromEntries(fields),
  })
}

/** Without anything that the client has sent but names. */
function describeIssue(issue: z.core.$ZodIssue): [string, string] {
  const name = issue.code === 'unrecognized_keys' ? issue.keys[0] : issue.path.join('.')
  return [
    /^[\w.]{1,60}$/.test(name ?? '') ? (name as string) : 'the body',
    issue.code === 'unrecognized_keys' ? 'is unknown' : issue.message,
  ]
}

/** The client id of HTTP Basic (RFC 6749 §2.3.1); null without one. */
function basicId(authorization: string | undefined): string | null {
  const encoded = /^basic +([A-Za-z0-9+/=_-]+) *$/i.exec(authorization ?? '')?.[1]
  const [id] = encoded === undefined ? [] : Buffer.from(encoded, 'base64').toString().split(':', 1)
  try {
    return id === undefined || id === '' ? null : decodeURIComponent(id.replaceAll('+', ' '))
  } catch {
    return null
  }
}

/** The published keys; as PEM those that verify application tokens, of which a client that reads one gets the one that signs. */
async function publicKey(req: IncomingMessage, ask: Ask, publicUrl: string): Promise<Answer> {
  const url = `${publicUrl}${PATH}${PUBLIC_KEY}`
  const answer = await ask(req, { path: '/oauth/jwks', form: null, url, isProofUsed: false })
  if (answer.status !== 200 || answer.body === null) throw refusalOf(answer)
  if (accepts(req).type(['application/json', PEM]) !== PEM) return jsonAnswer(200, answer.body)
  const keys = (answer.body['keys'] as (JsonWebKey & { alg: string })[]).filter(({ alg }) => alg === 'ES256')
  const pems = keys.map((key) => createPublicKey({ key, format: 'jwk' }).export({ type: 'spki', format: 'pem' }))
  return { status: 200, headers: { 'Content-Type': PEM }, body: pems.join('') }
}
