import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Request } from 'express'
import type { Metrics } from '../domain/metrics.ts'

declare module 'node:http' {
  interface IncomingMessage {
    /** The pattern of the URL, such as `/api/admin/v1/apps/{client_id}`, where no route of Express has it. */
    routePattern?: string
  }
}

/** Counts a request once its answer has ended. Nothing that a client chooses becomes a label. */
export function countRequest(
  { requests, requestSeconds }: Metrics,
  req: IncomingMessage,
  res: ServerResponse,
  seconds: number,
): void {
  const route = patternOf(req)
  const status = res.writableFinished ? String(res.statusCode) : 'aborted'
  requests.add([route, METHODS.has(req.method ?? '') ? (req.method as string) : 'other', status])
  requestSeconds.observe([route], seconds)
}

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/** The pattern of a request's URL, once it is answered. */
export function patternOf(req: IncomingMessage): string {
  if (req.routePattern !== undefined) return req.routePattern
  const path = (req as Partial<Request>).route?.path as string | string[] | undefined
  if (!Array.isArray(path)) return path ?? 'other'
  // One route of several patterns.
  const asked = (req.url ?? '').split('?', 1)[0] as string
  return path.find((each) => each === asked) ?? path.find((each) => each.includes(':')) ?? (path[0] as string)
}
