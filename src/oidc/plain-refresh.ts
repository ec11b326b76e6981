import type { IncomingMessage, ServerResponse } from 'node:http'
import { parse } from 'node:querystring'
import { hashSecret } from '../domain/apps.ts'
import { mintApplicationToken } from '../domain/application-tokens.ts'
import { isUnavailable } from '../domain/errors.ts'
import { type Rotated, rotateUnproved } from '../domain/families.ts'
import type { Portal } from '../domain/portal.ts'
import type { Logger } from '../logger.ts'

/** A request that is longer has something in it that is not plain (bytes). */
const LONGEST = 2048

/**
 * The refresh that nearly every app sends, answered with one statement and one signature: a form with a refresh token and
 * the app's secret or id, and nothing else that the protocol knows. Only its success is answered here. Whatever is
 * different, and whatever is in the way, is the library's to look at: nothing has moved yet, and it finds out why.
 * @returns false when the request, untouched, is left to the library
 * @throws what makes `isUnavailable` true while the store is away
 */
export async function answerPlainRefresh(
  portal: Portal,
  logger: Logger,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<boolean> {
  if (!isPlain(req)) return false
  const body = await peekBody(req)
  const request = body === null ? null : readRequest(body, req.headers.authorization)
  if (request === null) return false

  const { refreshToken, clientId, secret } = request
  const rotated = await rotate(portal, req, refreshToken, clientId, secret)
  if (rotated === null) return false

  const { family } = rotated
  logger.info({ requestId: req.requestId, event: 'refresh_token', clientId, familyId: family.id }, 'event')
  const { token, expiresIn } = mintApplicationToken(portal, rotated, family.scope, null)
  const answer = JSON.stringify({
    access_token: token,
    expires_in: expiresIn,
    refresh_token: rotated.refreshToken,
    scope: family.scope,
    token_type: 'Bearer',
  })
  res.writeHead(200, { ...HEADERS, 'Content-Length': Buffer.byteLength(answer) })
  res.end(answer)
  return true
}

const HEADERS = {
  'Content-Type': 'application/json; charset=utf-8',
  'Cache-Control': 'no-store',
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Expose-Headers': 'WWW-Authenticate',
  Vary: 'Origin',
}

async function rotate(
  portal: Portal,
  { place }: IncomingMessage,
  refreshToken: string,
  clientId: string,
  secret: string | null,
): Promise<Rotated | null> {
  try {
    const proof = { secretHash: secret === null ? null : hashSecret(secret) }
    return await rotateUnproved(portal, refreshToken, clientId, proof, place)
  } catch (error) {
    // Asking again would keep the app waiting twice as long; any other failure the library meets too, and reports.
    if (isUnavailable(error)) throw error
    return null
  }
}

/** No proof of possession (RFC 9449), no page of another origin, a short form in one piece. */
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

interface PlainRequest {
  refreshToken: string
  clientId: string
  secret: string | null
}

/** Null for everything but one refresh token and one way for the app to say who it is (RFC 6749 §2.3.1). */
function readRequest(body: string, authorization: string | undefined): PlainRequest | null {
  const {
    grant_type: grantType,
    refresh_token: refreshToken,
    client_id: id,
    client_secret: secret,
    ...rest
  } = parse(body)
  if (Object.keys(rest).length > 0) return null
  if (grantType !== 'refresh_token' || typeof refreshToken !== 'string') return null

  if (authorization !== undefined) {
    const credentials = readBasic(authorization)
    const isOther = id !== undefined && id !== credentials?.clientId
    return credentials === null || isOther || secret !== undefined ? null : { refreshToken, ...credentials }
  }
  if (typeof id !== 'string' || Array.isArray(secret) || secret === '') return null
  return { refreshToken, clientId: id, secret: secret ?? null }
}

/** Ids and secrets of ours are of letters that no encoding changes; anything that needs decoding is not plain. */
function readBasic(authorization: string): { clientId: string; secret: string } | null {
  const encoded = /^Basic ([A-Za-z0-9+/]+={0,2})$/.exec(authorization)?.[1]
  if (encoded === undefined) return null
  const [, clientId, secret] =
    /^([A-Za-z0-9._~-]+):([A-Za-z0-9_-]+)$/.exec(Buffer.from(encoded, 'base64').toString('latin1')) ?? []
  return clientId === undefined || secret === undefined ? null : { clientId, secret }
}
