import type { IncomingMessage } from 'node:http'
import { type ParsedUrlQuery, parse } from 'node:querystring'
import { type AppProof, hashSecret } from '../../domain/apps/apps.ts'

export type PlainForm = ParsedUrlQuery

/** A form that is longer has something in it that is not plain (bytes). */
const LONGEST = 2048

/**
 * The fields of a short form that came in one piece, without a proof of possession (RFC 9449) and from no page of another
 * origin; null for any other. Either way the body stays where it is, for the library to read.
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

/** The body, which stays where it is for whoever reads it next. Null when it has not come in one piece. */
async function peekBody(req: IncomingMessage): Promise<string | null> {
  return new Promise((resolve) => {
    req.once('readable', () => {
      const chunk = req.read() as Buffer | null
      if (chunk !== null) req.unshift(chunk)
      resolve(chunk?.length === Number(req.headers['content-length']) ? chunk.toString('latin1') : null)
    })
  })
}

/** What an app says of itself at every endpoint. */
const CLIENT_FIELDS = ['client_id', 'client_secret']

/** Whether a form has no field but these and those by which an app says who it is. */
export function hasOnly(form: PlainForm, ...fields: string[]): boolean {
  return Object.keys(form).every((name) => fields.includes(name) || CLIENT_FIELDS.includes(name))
}

/** An app that has yet to prove who it is. */
export interface PlainClient {
  clientId: string
  proof: AppProof
}

/** Null for everything but one way for the app to say who it is (RFC 6749 §2.3.1). */
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

/** Ids and secrets of ours are of letters that no encoding changes; anything that needs decoding is not plain. */
function readBasic(authorization: string): PlainClient | null {
  const encoded = /^Basic ([A-Za-z0-9+/]+={0,2})$/.exec(authorization)?.[1]
  if (encoded === undefined) return null
  const [, clientId, secret] =
    /^([A-Za-z0-9._~-]+):([A-Za-z0-9_-]+)$/.exec(Buffer.from(encoded, 'base64').toString('latin1')) ?? []
  return clientId === undefined || secret === undefined ? null : { clientId, proof: { secretHash: hashSecret(secret) } }
}
