import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { FIREFOX } from '../browser/browser.ts'

/** The response to a request whose body was held back. */
export interface HeldAnswer {
  status: number
  location: string | null
  cookies: string[]
  body: string
}

/** A form whose headers and first byte have been sent, as on a slow network. */
export class HeldRequest {
  readonly #socket: Socket
  readonly #rest: string

  private constructor(socket: Socket, rest: string) {
    this.#socket = socket
    this.#rest = rest
  }

  /** Sends the headers and one byte. The form must not be empty. */
  static async open(url: string, path: string, cookie: string, fields: Record<string, string>): Promise<HeldRequest> {
    const { host, port, origin } = new URL(url)
    const body = new URLSearchParams(fields).toString()
    const socket = connect(Number(port), '127.0.0.1')
    await once(socket, 'connect')
    const head = [
      `POST ${path} HTTP/1.1`,
      `Host: ${host}`,
      `Origin: ${origin}`,
      `User-Agent: ${FIREFOX}`,
      ...(cookie === '' ? [] : [`Cookie: ${cookie}`]),
      'Content-Type: application/x-www-form-urlencoded',
      `Content-Length: ${Buffer.byteLength(body)}`,
      'Connection: close',
    ]
    await new Promise((resolve) => socket.write(`${head.join('\r\n')}\r\n\r\n${body[0]}`, resolve))
    return new HeldRequest(socket, body.slice(1))
  }

  /** Sends the rest, and reads the response. */
  async release(): Promise<HeldAnswer> {
    this.#socket.write(this.#rest)
    const [head = '', ...body] = (await buffer(this.#socket)).toString().split('\r\n\r\n')
    const [line = '', ...headers] = head.split('\r\n')
    const valuesOf = (name: string) =>
      headers
        .filter((header) => header.toLowerCase().startsWith(`${name}: `))
        .map((header) => header.slice(name.length + 2))
    return {
      status: Number(line.split(' ')[1]),
      location: valuesOf('location')[0] ?? null,
      cookies: valuesOf('set-cookie'),
      body: body.join('\r\n\r\n'),
    }
  }
}
