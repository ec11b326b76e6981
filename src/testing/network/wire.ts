import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { connect } from 'node:net'
import { buffer } from 'node:stream/consumers'

export interface Answer {
  status: number
  headers: Record<string, string>
  cookies: string[]
  body: string
  /** The body as it was sent, which may be compressed. */
  bytes: Buffer
}

export interface Sent {
  method?: string
  /** As it stands in the request line. */
  path?: string
  headers?: Record<string, string>
  body?: string | Buffer
}

/** Sends what `fetch` cannot: another Host, an absolute URI, a malformed path, any body. */
export async function send(
  port: number,
  { method = 'GET', path = '/', headers = {}, body }: Sent,
  address = '127.0.0.1',
): Promise<Answer> {
  const sent = request({ host: address, port, method, path, headers, agent: false })
  // A server may answer and close before it has read everything.
  sent.on('error', () => {})
  sent.end(body)
  const [response] = (await Promise.race([
    once(sent, 'response'),
    once(sent, 'close').then(() => {
      throw new Error(`${method} ${path.slice(0, 80)} was not answered`)
    }),
  ])) as [IncomingMessage]
  const bytes = await buffer(response)
  return {
    status: response.statusCode ?? 0,
    headers: Object.fromEntries(
      Object.entries(response.headers).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
    ),
    cookies: response.headers['set-cookie'] ?? [],
    body: bytes.toString(),
    bytes,
  }
}

/** Writes these bytes to a connection and reads until the server closes it. */
export async function sendBytes(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.write(bytes, 'latin1')
  return (await buffer(socket)).toString('latin1')
}

export function portOf(url: string): number {
  return Number(new URL(url).port)
}
