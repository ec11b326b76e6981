import type { IncomingMessage } from 'node:http'
import type { z } from 'zod'
import { type AnyOperation, type Authority, perform, readInput } from '../administration/operation.ts'
import { beginKeyedRequest } from '../domain/idempotency-keys.ts'
import { Refused } from '../domain/refused.ts'
import type { Services } from '../domain/services.ts'
import { oneAtATime } from '../domain/thing-locks.ts'
import { type Answer, jsonAnswer } from './answers.ts'
import { entityTagOf, namesTag } from './entity-tags.ts'
import type { Paths } from './paths.ts'
import { Problem } from './problems.ts'

/** An operation that a service asks for, which may perform it. */
export interface Act {
  asked: AnyOperation
  /** The values of the parameters of its path. */
  parameters: Record<string, string>
  input: Record<string, unknown>
  /** Of the request: its path, and its query. */
  path: string
  search: string
  headers: IncomingMessage['headers']
}

/** Performs an operation with the conditions of its request, and answers. @param services in the name of the caller @throws Problem, Refused */
export async function answerAct(services: Services, authority: Authority, paths: Paths, act: Act): Promise<Answer> {
  if (act.asked.method === 'get') return read(services, authority, act)
  if (act.asked.method === 'post') return once(services, act, async () => change(services, authority, paths, act))
  return change(services, authority, paths, act)
}

/** Whether an operation shows one thing, which has an entity tag; a list has none. */
export function showsOneThing({ method, output }: Pick<AnyOperation, 'method' | 'output'>): boolean {
  return method === 'get' && output !== null && !isList(output as z.ZodType)
}

/** Whether its answer is a page of a list. */
export function isList(output: z.ZodType): boolean {
  return 'shape' in output && 'next_cursor' in (output.shape as object)
}

async function read(services: Services, authority: Authority, { asked, input, ...act }: Act): Promise<Answer> {
  if (asked.stream !== undefined) return stream(services, authority, asked, asked.stream, input)
  const answer = jsonAnswer(asked.status ?? 200, await perform(services, authority, asked, input))
  if (!showsOneThing(asked)) return { ...answer, headers: { ...answer.headers, ...nextOf(answer, act) } }
  const tag = entityTagOf(answer.body as string)
  const { 'if-none-match': known } = act.headers
  if (known !== undefined && namesTag(known, tag)) return { status: 304, headers: { ETag: tag }, body: null }
  return { ...answer, headers: { ...answer.headers, ETag: tag } }
}

async function stream(
  services: Services,
  authority: Authority,
  asked: AnyOperation,
  types: Record<string, string>,
  input: Record<string, unknown>,
): Promise<Answer> {
  const { format } = readInput(asked, input) as { format: string }
  const made: unknown = await perform(services, authority, asked, input)
  const headers = { 'Content-Type': types[format] ?? 'text/plain' }
  return { status: 200, headers, body: null, stream: made as AsyncIterable<string> }
}

/** Where a list goes on (RFC 8288). */
function nextOf({ body }: Answer, { path, search }: Pick<Act, 'path' | 'search'>): Record<string, string> {
  const { next_cursor: cursor } = JSON.parse(body as string) as { next_cursor?: string | null }
  if (typeof cursor !== 'string') return {}
  const query = new URLSearchParams(search)
  query.set('cursor', cursor)
  return { Link: `<${path}?${query}>; rel="next"` }
}

/** Of the requests with one idempotency key, the first acts. */
async function once(services: Services, { asked, headers, input }: Act, act: () => Promise<Answer>): Promise<Answer> {
  const key = headers['idempotency-key']
  if (key === undefined) return act()
  if (typeof key !== 'string' || !/^[\x21-\x7e]{1,255}$/.test(key))
    throw new Problem('malformed', 'an Idempotency-Key has 1 to 255 visible ASCII characters')
  const name = JSON.stringify([services.operator?.id, asked.name, key])
  const begun = await beginKeyedRequest(services, name, JSON.stringify(input))
  switch (begun.kind) {
    case 'repeated':
      return begun.answer as Answer
    case 'in-progress':
      throw new Problem('in_progress', 'a request with this Idempotency-Key is still being answered', {
        'Retry-After': '1',
      })
    case 'other-request':
      throw new Problem('key_reused', 'this Idempotency-Key was used with another body')
    case 'first': {
      let answer: Answer | null = null
      try {
        return (answer = await act())
      } finally {
        await begun.settle(answer)
      }
    }
  }
}

/** Changes of one thing are made one after another, so that it is still as `If-Match` says when it changes. */
async function change(services: Services, authority: Authority, paths: Paths, act: Act): Promise<Answer> {
  const make = async () => {
    await checkMatch(services, paths, act)
    const output: unknown = await perform(services, authority, act.asked, act.input)
    return output === null
      ? { status: act.asked.status ?? 204, headers: {}, body: null }
      : jsonAnswer(act.asked.status ?? 200, output)
  }
  const thing = await thingOf(services, paths, act)
  return thing === null ? make() : oneAtATime(services, thing, make)
}

/** @throws Problem unless the thing at this path is as `If-Match` says; a path that shows nothing matches nothing */
async function checkMatch(services: Services, paths: Paths, { asked, parameters, headers }: Act): Promise<void> {
  const { 'if-match': wanted } = headers
  if (wanted === undefined) return
  const shown = await show(services, paths, asked.path, parameters)
  if (shown === null || !namesTag(wanted, entityTagOf(JSON.stringify(shown))))
    throw new Problem('precondition_failed', 'it is not, or not any more, as If-Match says')
}

/** The thing that a change is about, by its one id, whatever name the path has for it. Null for a new one, and for none. */
async function thingOf(services: Services, paths: Paths, { asked, parameters }: Act): Promise<string | null> {
  const [, collection = '', which] = asked.path.split('/')
  if (which?.startsWith('{') !== true) return null
  const path = `/${collection}/${which}`
  const shown = await show(services, paths, path, parameters)
  const id = shown && (shown['id'] ?? shown['client_id'])
  return typeof id === 'string' ? `${collection} ${id}` : null
}

/** What a read of this path answers; null when there is no such read, or no such thing. It decides, and is not shown to the caller. */
async function show(
  services: Services,
  paths: Paths,
  path: string,
  parameters: Record<string, string>,
): Promise<Record<string, unknown> | null> {
  const reading = paths.operationAt(path, 'GET')
  if (reading === null || !showsOneThing(reading)) return null
  const needed = Object.entries(parameters).filter(([name]) => path.includes(`{${name}}`))
  try {
    return (await perform(services, { kind: 'command' }, reading, Object.fromEntries(needed))) as Record<
      string,
      unknown
    >
  } catch (error) {
    if (error instanceof Refused) return null
    throw error
  }
}
