import type { IncomingMessage } from 'node:http'
import type { AnyOperation } from '../administration/operation.ts'
import { Problem } from './problems.ts'

/** The longest body (bytes). */
export const LONGEST_BODY = 1024 * 1024

/** The raw body of a request for this operation. @throws Problem */
export async function readBody(req: IncomingMessage, { method }: AnyOperation): Promise<Buffer> {
  if (hasQuery(method) && hasBody(req)) throw new Problem('malformed', `a ${method.toUpperCase()} has no body`)
  return readWholeBody(req)
}

/** The raw body of any request; empty without one. @throws Problem */
export async function readWholeBody(req: IncomingMessage): Promise<Buffer> {
  if (Number(req.headers['content-length'] ?? 0) > LONGEST_BODY) throw tooLong()
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of req as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > LONGEST_BODY) throw tooLong()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/**
 * The input of an operation: the parameters of the path, with the query of a GET or DELETE, else with the JSON body. No field is in
 * two places. @throws Problem
 */
export function inputOf(
  { method }: AnyOperation,
  parameters: Record<string, string>,
  search: string,
  { headers }: IncomingMessage,
  body: Buffer,
): Record<string, unknown> {
  const query = fieldsOf(search)
  if (!hasQuery(method) && Object.keys(query).length > 0) throw new Problem('malformed', 'this operation has no query')
  const fields = hasQuery(method) ? query : readJson(body, headers)
  const twice = Object.keys(parameters).find((name) => Object.hasOwn(fields, name))
  if (twice !== undefined) throw new Problem('malformed', `${twice} is in the path, and nowhere else`)
  return { ...fields, ...parameters }
}

/** Whether the fields of its input are in the query; else they are in the body. */
export function hasQuery(method: AnyOperation['method']): boolean {
  return method === 'get' || method === 'delete'
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

function fieldsOf(search: string): Record<string, string> {
  const fields = new Map<string, string>()
  for (const [name, value] of new URLSearchParams(search)) {
    if (fields.has(name)) throw new Problem('malformed', `the query parameter ${name} is there twice`)
    fields.set(name, value)
  }
  return Object.fromEntries(fields)
}

/** An empty body is an empty object. */
function readJson(body: Buffer, headers: IncomingMessage['headers']): Record<string, unknown> {
  if (body.length === 0) return {}
  const encoding = headers['content-encoding'] ?? 'identity'
  if (
    !/^application\/json *(?:; *charset="?utf-8"? *)?$/i.test(headers['content-type'] ?? '') ||
    encoding !== 'identity'
  )
    throw new Problem('unsupported_media_type', 'the body is application/json, in UTF-8, without Content-Encoding')
  const read = parse(body)
  if (isDeep(read)) throw new Problem('malformed', `the body has objects in more than ${DEEPEST} others`)
  if (typeof read !== 'object' || read === null || Array.isArray(read))
    throw new Problem('malformed', 'the body is not a JSON object')
  return read as Record<string, unknown>
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch {
    throw new Problem('malformed', 'the body is not JSON')
  }
}

/** How many objects and arrays may be in each other: what reads them calls itself. */
const DEEPEST = 30

function isDeep(value: unknown, depth = 0): boolean {
  if (typeof value !== 'object' || value === null) return false
  return depth === DEEPEST || Object.values(value).some((each) => isDeep(each, depth + 1))
}

function tooLong(): Problem {
  return new Problem('too_long', `the body is longer than ${LONGEST_BODY} bytes`)
}
