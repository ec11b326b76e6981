// SCIM 2.0 (RFC 7643, RFC 7644): a directory, such as Microsoft Entra ID or Okta, creates, changes and disables users and groups.
//
// It owns the protocol: resources, filters, patches, versions and errors. It leaves who may call to the door of the admin API, and
// what happens to an identity or a group to the rules in `domain/`.

import type { IncomingMessage, ServerResponse } from 'node:http'
import accepts from 'accepts'
import { mayPerform, noteForbidden, scopesFor } from '../../administration/operation.ts'
import { PROBLEMS } from '../../administration/problems.ts'
import { Refused } from '../../domain/refused.ts'
import type { Services } from '../../domain/services.ts'
import { type AdminApiOptions, respond } from '../admin-api.ts'
import type { Answer } from '../answers.ts'
import { findCaller, insufficientScope, inNameOf, readCaller } from '../authorization.ts'
import { problemOf } from '../problems.ts'
import { readWholeBody } from '../request-input.ts'
import { resourceTypes, schemas, serviceProviderConfig } from './discovery.ts'
import { createGroup, listGroups, patchGroup, removeGroup, replaceGroup, showGroup } from './groups.ts'
import { wholeList } from './list-answers.ts'
import { isKnown, preconditionIn } from './preconditions.ts'
import { parametersOf, readListQuery, readSelection, searchParametersIn } from './queries.ts'
import { selectAttributes, type Values } from './resources.ts'
import { GROUP, type ResourceType, USER } from './schemas.ts'
import { invalidSyntax, methodNotAllowed, ScimError } from './scim-errors.ts'
import { createUser, deleteUser, listUsers, patchUser, replaceUser, showUser } from './users.ts'

const SCIM_PATH = '/scim/v2'
const ERROR_SCHEMA = 'urn:ietf:params:scim:api:messages:2.0:Error'
const MEDIA_TYPE = 'application/scim+json'

/** Whether a path is one of SCIM. */
export function isScim(path: string): boolean {
  return path === SCIM_PATH || path.startsWith(`${SCIM_PATH}/`)
}

/** A request for users or groups, whose caller may do what it asks. */
interface ScimRequest {
  services: Services
  type: ResourceType
  /** Null for all of them. */
  id: string | null
  method: string
  parameters: Values
  headers: IncomingMessage['headers']
  /** The JSON of the body; undefined without one. */
  body: unknown
}

/** The SCIM endpoints. They answer every request below their path, and never throw. */
export function createScim(services: Services, options: AdminApiOptions) {
  const base = `${services.publicUrl}${SCIM_PATH}`

  async function answer(req: IncomingMessage): Promise<Answer> {
    const [path = '', search = ''] = (req.url ?? '').split(/\?(.*)/s, 2)
    if (accepts(req).type([MEDIA_TYPE, 'application/json']) === false)
      throw new ScimError(406, `an answer is ${MEDIA_TYPE}`)
    const method = req.method === 'HEAD' ? 'GET' : (req.method ?? '')
    const [endpoint = '', id, ...more] = path
      .slice(SCIM_PATH.length + 1)
      .split('/')
      .map(decoded)
    const type = [USER, GROUP].find((each) => each.endpoint === `/${endpoint}`)
    if (more.length > 0 || id === '') throw noPath(path)
    if (type === undefined) {
      const answered = discover(method, endpoint, id ?? null, search, path)
      req.routePattern = `${SCIM_PATH}/${endpoint}`
      return answered
    }
    req.routePattern = `${SCIM_PATH}${type.endpoint}${id === undefined ? '' : '/{id}'}`

    const isSearch = id === '.search'
    const isList = id === undefined || isSearch
    const allowed = isSearch ? ['POST'] : isList ? ['GET', 'POST'] : ['GET', 'PUT', 'PATCH', 'DELETE']
    if (!allowed.includes(method)) throw methodNotAllowed(allowed)
    // The body is read only for a token that can be good, and the service is looked up when it is there.
    const claims = await readCaller(services, options.findPresentedKeys, req)
    const sent = await readWholeBody(req)
    const caller = await findCaller(services, claims)
    const isRead = method === 'GET' || isSearch
    const asked = {
      resource: type === USER ? 'identities' : 'groups',
      kind: isRead ? 'read' : 'write',
      forSupport: false,
    } as const
    if (!mayPerform({ kind: 'scopes', scopes: caller.scopes }, asked)) {
      await noteForbidden(inNameOf(services, caller, req), `${method} ${asked.resource}`)
      throw insufficientScope(scopesFor(asked))
    }
    const request = {
      services: inNameOf(services, caller, req),
      type,
      id: isList ? null : (id ?? null),
      method,
      parameters: parametersOf(search),
      headers: req.headers,
      body: readJson(sent, req.headers),
    }
    if (isSearch) return list(request, searchParametersIn(request.body))
    return request.id === null ? answerCollection(request) : answerOne(request, request.id)
  }

  function discover(method: string, endpoint: string, id: string | null, search: string, path: string): Answer {
    const lists: Record<string, Values[]> = { ResourceTypes: resourceTypes(base), Schemas: schemas(base) }
    if (['Bulk', 'Me', '.search'].includes(endpoint)) throw new ScimError(501, `${endpoint} is not supported`)
    const all = Object.hasOwn(lists, endpoint) ? (lists[endpoint] as Values[]) : null
    const isConfig = endpoint === 'ServiceProviderConfig' && id === null
    if (all === null && !isConfig) throw noPath(path)
    if (method !== 'GET') throw methodNotAllowed(['GET'])
    if (all === null) return json(200, serviceProviderConfig(base))
    if (id === null) {
      // RFC 7644 §4.
      if (new URLSearchParams(search).has('filter')) throw new ScimError(403, 'this list has no filter')
      return json(200, wholeList(all))
    }
    const found = all.find((each) => each['id'] === id)
    if (found === undefined) throw noPath(path)
    return json(200, found)
  }

  function refuse(error: unknown, req: IncomingMessage): Answer {
    if (error instanceof ScimError) return errorAnswer(error.status, error.message, error.scimType, error.headers)
    if (error instanceof Refused) {
      const known = scimErrorOf(error)
      return errorAnswer(known.status, known.message, known.scimType)
    }
    const problem = problemOf(error)
    const { status } = PROBLEMS[problem.code]
    if (status >= 500) options.logger.error({ requestId: req.requestId, error }, 'a SCIM request failed')
    return errorAnswer(status, problem.message, null, problem.headers)
  }

  return {
    answer: async (req: IncomingMessage, res: ServerResponse): Promise<void> =>
      respond(req, res, options, { answer, refuse }),
  }
}

async function answerCollection(request: ScimRequest): Promise<Answer> {
  const { services, type, method, parameters, body } = request
  if (method === 'GET') return list(request, parameters)
  const selection = readSelection(parameters)
  const made = type === USER ? await createUser(services, body) : await createGroup(services, body, selection)
  return one(201, type, made, request)
}

async function list({ services, type }: ScimRequest, parameters: Values): Promise<Answer> {
  const query = readListQuery(type, parameters)
  return json(200, type === USER ? await listUsers(services, query) : await listGroups(services, query))
}

async function answerOne(request: ScimRequest, id: string): Promise<Answer> {
  const { services, type, method, parameters, headers, body } = request
  const selection = readSelection(parameters)
  const precondition = preconditionIn(headers)
  const isUser = type === USER
  switch (method) {
    case 'GET': {
      const found = isUser ? await showUser(services, id) : await showGroup(services, id, selection)
      const { meta } = found as { meta: { version?: string } }
      if (isKnown(headers, meta.version)) return { status: 304, headers: { ETag: meta.version as string }, body: null }
      return one(200, type, found, request)
    }
    case 'PUT': {
      const replaced = isUser
        ? await replaceUser(services, id, body, precondition)
        : await replaceGroup(services, id, body, precondition, selection)
      return one(200, type, replaced, request)
    }
    case 'PATCH': {
      if (isUser) return one(200, type, await patchUser(services, id, body, precondition), request)
      await patchGroup(services, id, body, precondition)
      // A group can be large; its client says when it wants to read it (RFC 7644 §3.5.2).
      if (selection.attributes.length === 0) return { status: 204, headers: {}, body: null }
      return one(200, type, await showGroup(services, id, selection), request)
    }
    default:
      await (isUser ? deleteUser(services, id, precondition) : removeGroup(services, id, precondition))
      return { status: 204, headers: {}, body: null }
  }
}

function one(status: number, type: ResourceType, resource: Values, { parameters }: ScimRequest): Answer {
  const { location, version } = resource['meta'] as { location: string; version?: string }
  const answer = json(status, selectAttributes(type, resource, readSelection(parameters)))
  const tag: Record<string, string> = version === undefined ? {} : { ETag: version }
  return { ...answer, headers: { ...answer.headers, ...tag, ...(status === 201 ? { Location: location } : {}) } }
}

function json(status: number, body: Values): Answer {
  return { status, headers: { 'Content-Type': MEDIA_TYPE }, body: JSON.stringify(body) }
}

/** RFC 7644 §3.12. */
function errorAnswer(
  status: number,
  detail: string,
  scimType: string | null,
  headers: Record<string, string> = {},
): Answer {
  const body = { schemas: [ERROR_SCHEMA], status: String(status), ...(scimType === null ? {} : { scimType }), detail }
  return { status, headers: { ...headers, 'Content-Type': MEDIA_TYPE }, body: JSON.stringify(body) }
}

/** What a rule refuses, in the words of SCIM. */
function scimErrorOf({ code, message }: Refused): ScimError {
  switch (code) {
    case 'not_found':
      return new ScimError(404, message)
    case 'conflict':
      return new ScimError(409, message, 'uniqueness')
    case 'last_administrator':
      return new ScimError(400, message, 'mutability')
    case 'insufficient_scope':
      return new ScimError(403, message)
    case 'invalid':
      return new ScimError(400, message, 'invalidValue')
  }
}

function readJson(body: Buffer, headers: IncomingMessage['headers']): unknown {
  if (body.length === 0) return undefined
  const isJson = /^application\/(?:scim\+)?json *(?:; *charset="?utf-8"? *)?$/i.test(headers['content-type'] ?? '')
  if (!isJson || (headers['content-encoding'] ?? 'identity') !== 'identity')
    throw new ScimError(415, `the body is ${MEDIA_TYPE} or application/json, in UTF-8, without Content-Encoding`)
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)) as unknown
  } catch {
    throw invalidSyntax('the body is not JSON')
  }
}

/** A part of a path; as it is where it cannot be decoded. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

function noPath(path: string): ScimError {
  return new ScimError(404, `there is no ${path.slice(0, 200)}`)
}
