import { connect, type Socket } from 'node:net'

export interface Answer {
  status: number
  /** The status line and the headers, verbatim. */
  head: string
  body: Buffer
}

/** One keep-alive connection with one request in flight: the least HTTP that a measurement needs. */
export class Connection {
  readonly #socket: Socket
  #received: Buffer | null = null
  #onAnswer: ((answer: Answer) => void) | null = null
  #onLost: (() => void) | null = null

  static open(port: number): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true })
      socket.once('error', reject)
      socket.once('connect', () => resolve(new Connection(socket)))
    })
  }

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('error', () => {})
    socket.on('close', () => {
      const lost = this.#onLost
      this.#onLost = null
      lost?.()
    })
  }

  /** Calls exactly one of the two, once. */
  ask(request: string, onAnswer: (answer: Answer) => void, onLost: () => void): void {
    this.#onAnswer = onAnswer
    this.#onLost = onLost
    if (this.#socket.destroyed) {
      this.#onLost = null
      return onLost()
    }
    this.#socket.write(request, 'latin1')
  }

  close(): void {
    this.#onLost = null
    this.#socket.destroy()
  }

  #read(chunk: Buffer): void {
    this.#received = this.#received === null ? chunk : Buffer.concat([this.#received, chunk])
    const answer = parseAnswer(this.#received)
    if (answer === null) return
    this.#received = null
    this.#onLost = null
    this.#onAnswer?.(answer)
  }
}

/** Null while bytes are missing. */
function parseAnswer(received: Buffer): Answer | null {
  const headEnd = received.indexOf('\r\n\r\n')
  if (headEnd === -1) return null
  const head = received.toString('latin1', 0, headEnd)
  const bodyStart = headEnd + 4
  const status = Number(head.slice(9, 12))

  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
  if (length !== undefined) {
    const bodyEnd = bodyStart + Number(length)
    return received.length < bodyEnd ? null : { status, head, body: received.subarray(bodyStart, bodyEnd) }
  }
  const body = /\r\ntransfer-encoding: *chunked/i.test(head) ? parseChunks(received, bodyStart) : Buffer.alloc(0)
  return body === null ? null : { status, head, body }
}

function parseChunks(received: Buffer, start: number): Buffer | null {
  const chunks: Buffer[] = []
  for (let offset = start; ;) {
    const sizeEnd = received.indexOf('\r\n', offset)
    if (sizeEnd === -1) return null
    const size = Number.parseInt(received.toString('latin1', offset, sizeEnd), 16)
    const next = sizeEnd + 2 + size + 2
    if (received.length < next) return null
    if (size === 0) return Buffer.concat(chunks)
    chunks.push(received.subarray(sizeEnd + 2, next - 2))
    offset = next
  }
}
