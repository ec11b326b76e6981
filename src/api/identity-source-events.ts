import type { IncomingMessage, ServerResponse } from 'node:http'
import { z } from 'zod'
import { PROBLEMS } from '../administration/problems.ts'
import { actOnSourceEvents, admitSourceRequest, SOURCE_EVENTS } from '../domain/accounts/source-events.ts'
import type { Services } from '../domain/services.ts'
import { type AdminApiOptions, respond } from './admin-api.ts'
import { type Answer, jsonAnswer } from './answers.ts'
import { Problem, problemBody, problemOf } from './problems.ts'
import { readWholeBody } from './request-input.ts'

export const SOURCE_EVENTS_PATH = '/api/identity-source/events'

/** Text that the stores can look for: no control characters, no halves of a character. */
const ID = /^[^\p{Cc}\p{Cs}]+$/u
const EVENTS = z.object({
  events: z
    .array(z.object({ id: z.string().max(255).regex(ID), type: z.enum(SOURCE_EVENTS) }))
    .min(1)
    .max(100),
})

export function isSourceEvents(path: string): boolean {
  return path === SOURCE_EVENTS_PATH
}

/** What the identity source says has happened to its users, in a request that it signs (RFC 9421). Never throws. */
export function createSourceEvents(services: Services, options: Pick<AdminApiOptions, 'closeUnread' | 'logger'>) {
  const { logger } = options

  async function answer(req: IncomingMessage): Promise<Answer> {
    const path = req.url ?? ''
    req.routePattern = SOURCE_EVENTS_PATH
    if ((services.identitySource?.verifyRequest ?? null) === null)
      throw new Problem('no_such_path', 'this portal has no identity source that sends events')
    const allowed = { Allow: 'POST, OPTIONS' }
    if (req.method === 'OPTIONS') return { status: 204, headers: allowed, body: null }
    if (req.method !== 'POST') throw new Problem('method_not_allowed', 'this path has POST, OPTIONS', allowed)
    const body = await readWholeBody(req)
    const request = { method: 'POST', url: `${services.publicUrl}${path}`, headers: req.headers, body }
    const refusal = await admitSourceRequest(services, request)
    if (refusal !== null) throw new Problem('invalid_signature', refusal)
    const { events } = read(body)
    await actOnSourceEvents(services, events)
    logger.info({ requestId: req.requestId, event: 'identity_source_events', count: events.length }, 'event')
    return jsonAnswer(200, { events: events.length })
  }

  function refuse(error: unknown, req: IncomingMessage): Answer {
    const problem = problemOf(error)
    if (PROBLEMS[problem.code].status >= 500)
      logger.error({ requestId: req.requestId, error }, 'the events of the identity source failed')
    const headers = { ...problem.headers, 'Content-Type': 'application/problem+json' }
    const { status } = PROBLEMS[problem.code]
    return { status, headers, body: JSON.stringify(problemBody(problem, services.publicUrl)) }
  }

  return {
    answer: async (req: IncomingMessage, res: ServerResponse): Promise<void> =>
      respond(req, res, options, { answer, refuse }),
  }
}

/** @throws Problem */
function read(body: Buffer): z.infer<typeof EVENTS> {
  let json: unknown
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch {
    throw new Problem('malformed', 'the body is not JSON')
  }
  const result = EVENTS.safeParse(json)
  if (result.success) return result.data
  const place = result.error.issues[0]?.path.join('.') ?? ''
  throw new Problem(
    'malformed',
    `${place === '' ? 'the body' : place}: it is { "events": [{ "id", "type" }] } with 1 to 100 events of type ${SOURCE_EVENTS.join(', ')}`,
  )
}
