import type { IncomingMessage } from 'node:http'
import { type ParsedUrlQuery, parse } from 'node:querystring'
import { type AppProof, hashSecret } from '../../domain/apps/apps.ts'

export type PlainForm = ParsedUrlQuery

/** A longer form holds something that the fast path does not handle (bytes). */
const LONGEST = 2048

/**
 * The fields of a short form that arrived in one piece, without a DPoP proof (RFC 9449) and not cross-origin; null for any
 * other. Either way the body stays in the stream for the library to read.
 */
export async function readPlainForm(req: IncomingMessage): Promise<PlainForm | null> {
  const body = isPlain(req) ? await peekBody(req) : null
  return body === null ? null : parse(body)
}

function isPlain(req: IncomingMessage): boolean {
  const { headers } = req
  return (
    req.method === 'POST' &&
    headers['content-type'] !== undefined &&
    /^application\/x-www-form-urlencoded(; ?charset=utf-8)?$/i.test(headers['content-type']) &&
    Number(headers['content-length']) > 0 &&
    Number(headers['content-length']) <= LONGEST &&
    headers['transfer-encoding'] === undefined &&
    headers['content-encoding'] === undefined &&
    headers.origin === undefined &&
    headers['dpop'] === undefined
  )
}

/** The body, which stays in the stream for the next reader. Null when it has not arrived in one piece. */
async function peekBody(req: IncomingMessage): Promise<string | null> {
  return new Promise((resolve) => {
    req.once('readable', () => {
      const chunk = req.read() as Buffer | null
      if (chunk !== null) req.unshift(chunk)
      resolve(chunk?.length === Number(req.headers['content-length']) ? chunk.toString('latin1') : null)
    })
  })
}

/** The client credentials of a form. */
const CLIENT_FIELDS = ['client_id', 'client_secret']

/** Whether a form has only these fields and the client credentials. */
export function hasOnly(form: PlainForm, ...fields: string[]): boolean {
  return Object.keys(form).every((name) => fields.includes(name) || CLIENT_FIELDS.includes(name))
}

/** A client that is not authenticated yet. */
export interface PlainClient {
  clientId: string
  proof: AppProof
}

/** Null unless the client authenticates in exactly one way (RFC 6749 §2.3.1). */
export function readPlainClient(
  { client_id: id, client_secret: secret }: PlainForm,
  authorization: string | undefined,
): PlainClient | null {
  if (authorization !== undefined) {
    const credentials = readBasic(authorization)
    const isOther = id !== undefined && id !== credentials?.clientId
    return isOther || secret !== undefined ? null : credentials
  }
  if (typeof id !== 'string' || Array.isArray(secret) || secret === '') return null
  return { clientId: id, proof: { secretHash: secret === undefined ? null : hashSecret(secret) } }
}

/** The portal's ids and secrets need no percent-encoding, so anything encoded is left to the library. */
function readBasic(authorization: string): PlainClient | null {
  const encoded = /^Basic ([A-Za-z0-9+/]+={0,2})$/.exec(authorization)?.[1]
  if (encoded === undefined) return null
  const [, clientId, secret] =
    /^([A-Za-z0-9._~-]+):([A-Za-z0-9_-]+)$/.exec(Buffer.from(encoded, 'base64').toString('latin1')) ?? []
  return clientId === undefined || secret === undefined ? null : { clientId, proof: { secretHash: hashSecret(secret) } }
}
