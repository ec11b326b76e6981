// api/: the admin REST API, for the programs of operators.
//
// It owns who may call (tokens of services for the admin API), how JSON requests are read and answers written, problems (RFC 9457),
// preconditions, repeated requests and the OpenAPI document. It leaves what an operation does, and its input and answer, to
// `administration/`, whose table it serves.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import accepts from 'accepts'
import { type AnyOperation, mayPerform, noteForbidden, scopesFor } from '../administration/operation.ts'
import { OPERATIONS } from '../administration/operations.ts'
import { PROBLEMS } from '../administration/problems.ts'
import { ADMIN_API_PATH } from '../domain/apps/apis.ts'
import type { Services } from '../domain/services.ts'
import type { Logger } from '../logger.ts'
import { type Answer, jsonAnswer } from './answers.ts'
import { answerAct } from './acts.ts'
import { findCaller, type FindPresentedKeys, inNameOf, insufficientScope, readCaller } from './authorization.ts'
import { type Found, Paths } from './paths.ts'
import { Problem, problemBody, problemOf } from './problems.ts'
import { inputOf, readBody } from './request-input.ts'

export interface AdminApiOptions {
  logger: Logger
  findPresentedKeys: FindPresentedKeys
  /** Closes the connection after the answer to a request whose body was not read. */
  closeUnread(req: IncomingMessage, res: ServerResponse): void
}

/** The OpenAPI document, below the path of the API. */
const DOCUMENT = '/openapi.json'

/** Whether a path is one of the admin API. */
export function isAdminApi(path: string): boolean {
  return path === ADMIN_API_PATH || path.startsWith(`${ADMIN_API_PATH}/`)
}

/** The admin API. It answers every request whose path it has, and never throws. */
export function createAdminApi(services: Services, options: AdminApiOptions) {
  const operations: AnyOperation[] = Object.values(OPERATIONS)
  const paths = new Paths(operations)
  let document: Answer | null = null

  async function answer(req: IncomingMessage): Promise<Answer> {
    const [path = '', search = ''] = (req.url ?? '').split(/\?(.*)/s, 2)
    if (accepts(req).type(['application/json']) === false)
      throw new Problem('not_acceptable', PROBLEMS.not_acceptable.meaning)
    if (path === `${ADMIN_API_PATH}${DOCUMENT}`) {
      req.routePattern = path
      return answerDocument(req)
    }
    const found = paths.find(path.slice(ADMIN_API_PATH.length))
    if (found === null) throw new Problem('no_such_path', `there is no ${path.slice(0, 200)}`)
    req.routePattern = `${ADMIN_API_PATH}${found.path}`
    const asked = operationFor(req, found)
    if (asked === null) return { status: 204, headers: { Allow: allowedAt(found) }, body: null }

    // The body is read only for a token that can be good, and the service is looked up when it is there.
    const claims = await readCaller(services, options.findPresentedKeys, req)
    const body = await readBody(req, asked)
    const caller = await findCaller(services, claims)
    const authority = { kind: 'scopes', scopes: caller.scopes } as const
    if (!mayPerform(authority, asked)) {
      await noteForbidden(inNameOf(services, caller, req), asked.name)
      throw insufficientScope(scopesFor(asked))
    }
    const input = inputOf(asked, found.parameters, search, req, body)
    const { parameters } = found
    const { headers } = req
    const act = { asked, parameters, input, path, search, headers }
    return answerAct(inNameOf(services, caller, req), authority, paths, act)
  }

  /** It holds no data, so it is for every client. */
  async function answerDocument({ method }: IncomingMessage): Promise<Answer> {
    const allowed = { Allow: 'GET, HEAD, OPTIONS' }
    if (method === 'OPTIONS') return { status: 204, headers: allowed, body: null }
    if (method !== 'GET' && method !== 'HEAD')
      throw new Problem('method_not_allowed', `this path has ${allowed.Allow}`, allowed)
    // Loaded when it is first needed: few clients ever ask.
    const { openApiOf } = await import('./openapi.ts')
    return (document ??= jsonAnswer(200, openApiOf(operations, services)))
  }

  return {
    answer: async (req: IncomingMessage, res: ServerResponse): Promise<void> =>
      respond(req, res, options, { answer, refuse }),
  }

  function refuse(error: unknown, req: IncomingMessage): Answer {
    const problem = problemOf(error)
    const { status } = PROBLEMS[problem.code]
    if (status >= 500) options.logger.error({ requestId: req.requestId, error }, 'the admin API failed')
    const headers = { ...problem.headers, 'Content-Type': 'application/problem+json' }
    return { status, headers, body: JSON.stringify(problemBody(problem, services.publicUrl)) }
  }
}

/** Null for OPTIONS. @throws Problem for a method that the path has not */
function operationFor({ method = '' }: IncomingMessage, found: Found): AnyOperation | null {
  if (method === 'OPTIONS') return null
  const asked = found.operations.get(method === 'HEAD' ? 'GET' : method)
  if (asked !== undefined) return asked
  const allowed = allowedAt(found)
  throw new Problem('method_not_allowed', `this path has ${allowed}`, { Allow: allowed })
}

function allowedAt({ operations }: Found): string {
  const methods = [...operations.keys()]
  return [...methods, ...(methods.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].join(', ')
}

/** Answers a request of a program, whatever happens to it. */
export async function respond(
  req: IncomingMessage,
  res: ServerResponse,
  { closeUnread, logger }: Pick<AdminApiOptions, 'closeUnread' | 'logger'>,
  api: { answer(req: IncomingMessage): Promise<Answer>; refuse(error: unknown, req: IncomingMessage): Answer },
): Promise<void> {
  let answered: Answer
  try {
    answered = await api.answer(req)
  } catch (error) {
    // The client has gone.
    if (req.destroyed && !req.complete) return
    answered = api.refuse(error, req)
  }
  if (!req.complete) closeUnread(req, res)
  await writeAnswer(res, answered, req.method === 'HEAD').catch((error: unknown) => {
    // The client sees that what it got is not whole.
    logger.warn({ requestId: req.requestId, error }, 'a streamed answer ended early')
    res.destroy()
  })
}

async function writeAnswer(
  res: ServerResponse,
  { status, headers, body, stream }: Answer,
  isHead: boolean,
): Promise<void> {
  if (stream !== undefined && !isHead) {
    res.writeHead(status, { ...headers, 'Cache-Control': 'no-store' })
    return pipeline(Readable.from(stream), res)
  }
  const length: Record<string, number> = body === null ? {} : { 'Content-Length': Buffer.byteLength(body) }
  res.writeHead(status, { ...headers, 'Cache-Control': 'no-store', ...length })
  res.end(isHead ? undefined : (body ?? undefined))
}
