import { isUuid } from '../../domain/uuid.ts'
import { type Condition, readFilter } from './filters.ts'
import { keyOfPath, readPath } from './paths.ts'
import { invalidFilter, invalidSyntax, invalidValue, ScimError } from './scim-errors.ts'
import { isObject } from './resources.ts'
import type { ResourceType } from './schemas.ts'

/** How many resources one answer has, if the client does not say, and at most. */
export const DEFAULT_PAGE = 100
export const LONGEST_PAGE = 200

const SEARCH_SCHEMA = 'urn:ietf:params:scim:api:messages:2.0:SearchRequest'

/** What of a resource an answer contains (RFC 7644 §3.9). */
export interface Selection {
  attributes: string[]
  excludedAttributes: string[]
}

/** A list that a client asks for (RFC 7644 §3.4.2, RFC 9865). */
export interface ListQuery extends Selection {
  /** Each names its attribute by `keyOfPath`. */
  conditions: Condition[]
  limit: number
  page: { kind: 'index'; startIndex: number } | { kind: 'cursor'; after: string | null }
}

type Parameters = Record<string, unknown>

/** The parameters of a query. @throws ScimError for one that is there twice */
export function parametersOf(search: string): Parameters {
  const parameters = new Map<string, string>()
  for (const [name, value] of new URLSearchParams(search)) {
    if (parameters.has(name)) throw invalidValue(`${name.slice(0, 100)} is there twice`)
    parameters.set(name, value)
  }
  return Object.fromEntries(parameters)
}

/** Those of `POST …/.search` (RFC 7644 §3.4.3). @throws ScimError */
export function searchParametersIn(sent: unknown): Parameters {
  if (!isObject(sent)) throw invalidSyntax('a search is a JSON object')
  const { schemas } = sent
  if (schemas !== undefined && !(Array.isArray(schemas) && schemas.includes(SEARCH_SCHEMA)))
    throw invalidSyntax(`schemas does not contain ${SEARCH_SCHEMA}`)
  return sent
}

/** @throws ScimError */
export function readSelection(parameters: Parameters): Selection {
  return {
    attributes: namesIn(parameters, 'attributes'),
    excludedAttributes: namesIn(parameters, 'excludedAttributes'),
  }
}

/** @throws ScimError */
export function readListQuery(type: ResourceType, parameters: Parameters): ListQuery {
  const { filter, cursor } = parameters
  return {
    ...readSelection(parameters),
    conditions: readConditions(type, filter),
    limit: Math.min(Math.max(numberIn(parameters, 'count', 'invalidCount') ?? DEFAULT_PAGE, 0), LONGEST_PAGE),
    page:
      typeof cursor === 'string'
        ? { kind: 'cursor', after: cursor === '' ? null : idIn(cursor) }
        : { kind: 'index', startIndex: Math.max(numberIn(parameters, 'startIndex', 'invalidValue') ?? 1, 1) },
  }
}

/** Where a list goes on after this id. */
export function cursorAfter(id: string): string {
  return Buffer.from(id).toString('base64url')
}

function idIn(cursor: string): string {
  const id = Buffer.from(cursor, 'base64url').toString()
  if (!isUuid(id)) throw new ScimError(400, 'cursor is not the nextCursor of an answer', 'invalidCursor')
  return id
}

function readConditions(type: ResourceType, filter: unknown): Condition[] {
  if (filter === undefined || filter === null) return []
  if (typeof filter !== 'string') throw invalidFilter('a filter is a string')
  return readFilter(filter).map((condition) => {
    try {
      return { ...condition, attribute: keyOfPath(readPath(type, condition.attribute)) }
    } catch (error) {
      throw error instanceof ScimError ? invalidFilter(error.message) : error
    }
  })
}

function numberIn(parameters: Parameters, name: string, scimType: 'invalidCount' | 'invalidValue'): number | null {
  const value = parameters[name]
  if (value === undefined || value === null || value === '') return null
  const text = typeof value === 'number' ? String(value) : value
  if (typeof text !== 'string' || !/^-?\d{1,9}$/.test(text))
    throw new ScimError(400, `${name} is not a whole number`, scimType)
  return Number(text)
}

function namesIn(parameters: Parameters, name: string): string[] {
  const value = parameters[name]
  if (value === undefined || value === null) return []
  const names = typeof value === 'string' ? value.split(',') : value
  if (!Array.isArray(names) || names.length > 100 || names.some((each) => typeof each !== 'string'))
    throw invalidValue(`${name} is a list of up to 100 names`)
  return (names as string[]).map((each) => each.trim()).filter((each) => each !== '')
}
