import type { AnyOperation } from '../administration/operation.ts'
import { CommandRefused } from './command-refused.ts'

/** An operation as a request of the admin API. */
export interface RemoteRequest {
  method: string
  /** Below the URL of the admin API, with the query. */
  path: string
  /** Null for none. */
  body: Record<string, unknown> | null
}

/** The request that performs an operation: path parameters by their names, the rest in the query of a read or delete, else in the body. */
export function requestFor({ method, path, ...asked }: AnyOperation, input: Record<string, unknown>): RemoteRequest {
  const rest = new Map(Object.entries(input).filter(([, value]) => value !== undefined))
  const named = path.replaceAll(/\{(\w+)\}/g, (_match, name: string) => {
    const value = rest.get(name)
    rest.delete(name)
    if (typeof value !== 'string' || value === '') throw new TypeError(`${asked.name} needs ${name}`)
    return segmentOf(value)
  })
  if (method !== 'get' && method !== 'delete') return { method, path: named, body: Object.fromEntries(rest) }
  const query = new URLSearchParams(
    [...rest].flatMap(([name, value]) => valuesOf(value).map((each): [string, string] => [name, each])),
  )
  return { method, path: query.size === 0 ? named : `${named}?${query}`, body: null }
}

/** A URL cannot have a segment of dots alone (RFC 3986 §5.2.4), and percent-encoded NULs get no further than a proxy. */
function segmentOf(value: string): string {
  if (/^\.{1,2}$/.test(value) || value.includes('\0') || !value.isWellFormed())
    throw new CommandRefused(
      `${JSON.stringify(value)} cannot be named in a URL; run this command where the portal runs`,
    )
  return encodeURIComponent(value)
}

/** A list repeats its name. */
function valuesOf(value: unknown): string[] {
  return (Array.isArray(value) ? (value as unknown[]) : [value]).map((each) =>
    typeof each === 'string' ? each : JSON.stringify(each),
  )
}
