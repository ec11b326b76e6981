import { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'

declare module 'node:http' {
  interface IncomingMessage {
    /** Of a request that an API of the portal makes here as a part of one that it was sent. */
    within?: Within
  }
}

interface Within {
  /** The URL that the client sent its request to, and made its DPoP proof for. */
  url: string
  /** The part before this one has checked the proof, and marked it as used. */
  isProofUsed: boolean
}

/** A form to an endpoint of this protocol, or a GET where there is none. */
export interface InnerRequest extends Within {
  path: string
  form: Record<string, string> | null
}

export interface InnerAnswer {
  status: number
  headers: Record<string, string>
  /** Null for none. */
  body: Record<string, unknown> | null
}

/** What a request keeps to itself: its own body, its browser, and how its answer is to look. */
const OWN_HEADERS =
  /^(content-.*|transfer-encoding|accept|accept-encoding|connection|expect|cookie|origin|referer|sec-.*|if-.*|range)$/

/**
 * Sends a request to an endpoint of the protocol without a network, in the name of the client of `outer`: with its credentials,
 * its DPoP proof and its IP address. So an API of the portal stands on the endpoints themselves, with all that they check and count.
 */
export async function askWithin(
  answer: (req: IncomingMessage, res: ServerResponse) => Promise<boolean>,
  outer: IncomingMessage,
  { path, form, url, isProofUsed }: InnerRequest,
): Promise<InnerAnswer> {
  const body = form === null ? '' : new URLSearchParams(form).toString()
  const own = Object.entries(outer.headers).filter(([name]) => !OWN_HEADERS.test(name))
  const headers = {
    ...Object.fromEntries(own),
    accept: 'application/json',
    ...(form === null
      ? {}
      : { 'content-type': 'application/x-www-form-urlencoded', 'content-length': String(Buffer.byteLength(body)) }),
  }
  const req = new IncomingMessage(socketLike(outer.socket))
  const { requestId, clientInfo, httpVersion, httpVersionMajor, httpVersionMinor } = outer
  Object.assign(req, { requestId, clientInfo, httpVersion, httpVersionMajor, httpVersionMinor })
  Object.assign(req, { method: form === null ? 'GET' : 'POST', url: path, headers, within: { url, isProofUsed } })
  if (body !== '') req.push(body)
  req.push(null)
  req.complete = true

  const res = new KeptResponse(req)
  if (!(await answer(req, res))) throw new Error(`${path} is no endpoint for programs`)
  return res.kept()
}

/** The peer of another socket, without its bytes. */
function socketLike({ remoteAddress, remotePort, localPort }: Socket): Socket {
  const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() })
  return Object.assign(socket, { remoteAddress, remotePort, localPort }) as unknown as Socket
}

/** A response that is kept instead of sent. */
class KeptResponse extends ServerResponse {
  #text = ''

  override writeHead(status: number, ...rest: unknown[]): this {
    this.statusCode = status
    for (const [name, value] of Object.entries((rest.at(-1) ?? {}) as Record<string, string>))
      this.setHeader(name, value)
    return this
  }

  override write(chunk: string | Uint8Array): boolean {
    this.#text += Buffer.from(chunk as string).toString()
    return true
  }

  override end(chunk?: unknown): this {
    if (typeof chunk === 'string' || chunk instanceof Uint8Array) this.write(chunk)
    this.emit('finish')
    return this
  }

  kept(): InnerAnswer {
    const headers = Object.entries(this.getHeaders()).map(([name, value]) => [name, String(value)])
    const body = this.#text === '' ? null : (JSON.parse(this.#text) as Record<string, unknown>)
    return { status: this.statusCode, headers: Object.fromEntries(headers) as Record<string, string>, body }
  }
}
