import type { Server, ServerResponse } from 'node:http'
import { Server as NetServer, type Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'

/**
 * Graceful shutdown: how long a connection must have been idle (ms) before it may be closed.
 * Closing a connection races with a request that its client is just sending. A client in conversation asks again within this
 * time, and the answer tells it to close the connection. A client that has been idle for longer is unlikely to send in the very
 * milliseconds that the server's FIN needs. Idle time before the stop counts too, so long-idle connections are closed at once.
 */
const SILENT_MS = 500
const LOOK_EVERY_MS = 50
/** After this long (ms) a stopping process closes every connection. */
const DRAIN_LIMIT_MS = 10_000

interface Connection {
  /** The response in progress on it. */
  answer: ServerResponse | null
  /** Idle since this moment, on the clock of `performance.now()`. */
  silentSince: number
}

/** Graceful shutdown: tracks the connections of one server from the start, so that a stop loses no request. */
export class Connections {
  readonly #server: Server
  readonly #open = new Map<Socket, Connection>()
  #isDraining = false

  constructor(server: Server) {
    this.#server = server
    server.on('connection', (socket) => this.#follow(socket))
    server.prependListener('request', (req, res) => this.#answer(req.socket, res))
  }

  /** The response in progress on a connection. */
  answerOn(socket: Socket): ServerResponse | null {
    return this.#open.get(socket)?.answer ?? null
  }

  /** Accepts no new connection, answers what still arrives on open ones, and resolves when the last is closed. */
  async drain(): Promise<void> {
    this.#isDraining = true
    const closed = new Promise((resolve) => this.#server.once('close', resolve))
    for (const { answer } of this.#open.values()) if (answer?.headersSent === false) closeAfter(answer)

    // The system has accepted connections that this process has not taken yet, and would reset them. Two turns of the event loop,
    // because the first may be past the point where it takes them.
    await setImmediate()
    await setImmediate()
    // The close of http.Server would also cut every connection that is idle at this moment.
    NetServer.prototype.close.call(this.#server)
    this.#closeSilent()
    const look = setInterval(() => this.#closeSilent(), LOOK_EVERY_MS)
    const limit = setTimeout(() => this.#server.closeAllConnections(), DRAIN_LIMIT_MS)
    await closed
    clearInterval(look)
    clearTimeout(limit)
    // Also stops the timer that looks for slow requests, which would keep the process alive.
    this.#server.close()
  }

  #follow(socket: Socket): void {
    this.#open.set(socket, { answer: null, silentSince: performance.now() })
    socket.once('close', () => this.#open.delete(socket))
  }

  #answer(socket: Socket, answer: ServerResponse): void {
    const connection = this.#open.get(socket)
    if (connection === undefined) return
    connection.answer = answer
    if (this.#isDraining) closeAfter(answer)
    answer.once('close', () => {
      // A client may send its next request before it has the answer (pipelining).
      if (connection.answer !== answer) return
      connection.answer = null
      connection.silentSince = performance.now()
    })
  }

  #closeSilent(): void {
    const silent = performance.now() - SILENT_MS
    for (const [socket, { answer, silentSince }] of this.#open) {
      if (answer === null && silentSince <= silent) socket.destroy()
    }
  }
}

function closeAfter(answer: ServerResponse): void {
  answer.setHeader('Connection', 'close')
}
