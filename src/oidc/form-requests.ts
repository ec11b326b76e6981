import type { IncomingMessage } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { ROUTES } from './configuration.ts'

/** The longest query that a form is turned into (bytes): it fits, beside the cookies, into the headers of a request. */
const LONGEST_QUERY = 12_000

/** What becomes of a form: a GET of the same endpoint, or a refusal. */
export type FormRequest = { kind: 'redirect'; location: string } | { kind: 'too-long' } | { kind: 'not-a-form' }

/** True for a browser's form to an endpoint that takes GET and POST. */
export function isFormRequest(method: string | undefined, path: string): boolean {
  return method === 'POST' && (path === ROUTES.authorization || path === ROUTES.end_session)
}

/**
 * Turns a form at the authorization or logout endpoint (OpenID Connect Core §3.1.2.1, RP-Initiated Logout 1.0 §2) into a GET
 * with the same parameters.
 * The form comes from another site, so the browser leaves out SameSite=Lax cookies; with the GET it sends them. The form
 * changes nothing by itself, so it needs no CSRF protection: any site may send a browser to the same GET.
 */
export async function readFormRequest(req: IncomingMessage): Promise<FormRequest> {
  const body = await buffer(req)
  const type = req.headers['content-type']
  if (body.length > 0 && !/^application\/x-www-form-urlencoded\s*(;|$)/i.test(type ?? '')) return { kind: 'not-a-form' }
  // Kept byte for byte: the app might not recognise what a parser has decoded and encoded again.
  const fields = body.toString('latin1').replaceAll(NOT_IN_A_QUERY, percentEncoded)
  const url = req.url as string
  const start = url.indexOf('?')
  const asked = start === -1 ? [] : [url.slice(start + 1)]
  const query = [...asked, fields].filter((each) => each !== '').join('&')
  if (query.length > LONGEST_QUERY) return { kind: 'too-long' }
  const path = start === -1 ? url : url.slice(0, start)
  return { kind: 'redirect', location: query === '' ? path : `${path}?${query}` }
}

/** Bytes that must be escaped in a query (RFC 3986 §3.4). */
const NOT_IN_A_QUERY = /[^\x21-\x7e]|["#<>\\^`{|}]/g

function percentEncoded(byte: string): string {
  return `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
}
