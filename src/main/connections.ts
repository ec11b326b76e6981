import type { Server, ServerResponse } from 'node:http'
import { Server as NetServer, type Socket } from 'node:net'

/**
 * A connection on which nothing was asked for so long (ms) may be closed. To close one always races with a request that
 * its client is just sending, however long it has been open. A client that is talking to us asks again before this time
 * is over and reads in the answer that it must not do so again here; one that is silent is unlikely to break its silence
 * in the very milliseconds our end takes to reach it. So it is the silence that counts, also that before the stop, and
 * who has been silent for long is not waited for.
 */
const SILENT_MS = 500
const LOOK_EVERY_MS = 50
/** After this long (ms) a stopping process waits for nobody any more. */
const DRAIN_LIMIT_MS = 10_000

interface Connection {
  /** What is being answered on it. */
  answer: ServerResponse | null
  /** Since when nothing is, on the clock of `performance.now()`. */
  silentSince: number
}

/** The connections of one server, followed from the start, so that it can stop without losing a request. */
export class Connections {
  readonly #server: Server
  readonly #open = new Map<Socket, Connection>()
  #isDraining = false

  constructor(server: Server) {
    this.#server = server
    server.on('connection', (socket) => this.#follow(socket))
    server.prependListener('request', (req, res) => this.#answer(req.socket, res))
  }

  /** What is being answered on a connection at this moment. */
  answerOn(socket: Socket): ServerResponse | null {
    return this.#open.get(socket)?.answer ?? null
  }

  /** Takes no new connection, answers what still comes on those there are, and resolves when the last is closed. */
  async drain(): Promise<void> {
    this.#isDraining = true
    const closed = new Promise((resolve) => this.#server.once('close', resolve))
    for (const { answer } of this.#open.values()) if (answer?.headersSent === false) closeAfter(answer)

    // The close of http.Server also cuts every connection that is idle at this moment.
    NetServer.prototype.close.call(this.#server)
    this.#closeSilent()
    const look = setInterval(() => this.#closeSilent(), LOOK_EVERY_MS)
    const limit = setTimeout(() => this.#server.closeAllConnections(), DRAIN_LIMIT_MS)
    await closed
    clearInterval(look)
    clearTimeout(limit)
    // It also stops the timer that looks for slow requests, which would keep the server in memory.
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
      // A client may ask again before it has its answer.
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
