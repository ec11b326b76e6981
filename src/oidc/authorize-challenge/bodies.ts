import type { IncomingMessage } from 'node:http'
import { parse } from 'node:querystring'
import { buffer } from 'node:stream/consumers'
import { errors } from 'oidc-provider'

/** The parameters of a request; a list for one that is there more than once. */
export type Fields = Record<string, string | string[]>

/**
 * The parameters in the body of a program's request, as a form or in JSON, where a parameter is text, a number, true or false, or an object that
 * stands for its JSON. @throws InvalidRequest for any other body, and for what no store can hold
 */
export async function readFields(req: IncomingMessage): Promise<Fields> {
  const body = await buffer(req)
  const type = (req.headers['content-type'] ?? '').toLowerCase()
  const isForm = /^application\/x-www-form-urlencoded\s*(;|$)/.test(type)
  if (!isForm && !/^application\/json\s*(;|$)/.test(type))
    throw new errors.InvalidRequest('the body must be application/x-www-form-urlencoded or application/json')
  const fields = isForm ? Object.entries(parse(body.toString())) : fieldsOfJson(body)
  for (const [name, value] of fields) {
    if (!isStorable(name) || ![value].flat().every((each) => each !== undefined && isStorable(each)))
      throw new errors.InvalidRequest('a parameter has characters that are not allowed')
  }
  // Without a prototype, a name such as `__proto__` is one like any other.
  return Object.assign(Object.create(null) as Fields, Object.fromEntries(fields))
}

function fieldsOfJson(body: Buffer): [string, string | string[]][] {
  const json = parsed(body)
  if (json === null || typeof json !== 'object' || Array.isArray(json))
    throw new errors.InvalidRequest('the body must be a JSON object')
  return Object.entries(json).map(([name, value]) => [name, textOf(name, value)])
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch {
    throw new errors.InvalidRequest('the body is not JSON')
  }
}

function textOf(name: string, value: unknown): string | string[] {
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (Array.isArray(value) && value.every((each) => typeof each === 'string')) return value
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  if (!isObject) throw new errors.InvalidRequest(`${shown(name)} must be text`)
  try {
    return JSON.stringify(value)
  } catch {
    throw new errors.InvalidRequest(`${shown(name)} is nested too deeply`)
  }
}

/** The name of a parameter, for an error (RFC 6749 §5.2). */
function shown(name: string): string {
  return /^\w{1,40}$/.test(name) ? name : 'a parameter'
}

function isStorable(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0')
}
