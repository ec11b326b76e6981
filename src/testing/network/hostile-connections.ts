import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** What was received on a connection, and how it ended. */
export interface Outcome {
  received: string
  /** False for a connection still open at the time limit. */
  isClosed: boolean
}

/** A connection on which an error is an end like any other. */
export async function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  await once(socket, 'connect')
  return socket
}

/** Sends these bytes and resets the connection (TCP RST): at once, or with the first byte of a response. */
export async function reset(port: number, bytes: string, when: 'at once' | 'in the answer' = 'at once'): Promise<void> {
  const socket = await open(port)
  const closed = closeOf(socket)
  socket.write(bytes, 'latin1')
  if (when === 'in the answer') await Promise.race([new Promise((resolve) => socket.once('data', resolve)), closed])
  socket.resetAndDestroy()
  await closed
}

/** Sends these pieces, one in each turn of the event loop, and reads until the peer closes, up to a time limit (ms). */
export async function drip(port: number, pieces: Iterable<string>, patience: number): Promise<Outcome> {
  const socket = await open(port)
  const ended = watch(socket, patience)
  for (const piece of pieces) {
    if (!socket.writable) break
    socket.write(piece, 'latin1')
    await new Promise(setImmediate)
  }
  return ended
}

/** Reads until the peer closes, up to a time limit (ms). */
export async function watch(socket: Socket, patience: number): Promise<Outcome> {
  const outcome: Outcome = { received: '', isClosed: false }
  socket.setEncoding('latin1').on('data', (text: string) => (outcome.received += text))
  const limit = setTimeout(() => socket.destroy(), patience)
  socket.once('end', () => (outcome.isClosed = true)).once('error', () => (outcome.isClosed = true))
  await closeOf(socket)
  clearTimeout(limit)
  return outcome
}

/** Unlike `once`, this does not reject on a connection reset. */
async function closeOf(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()))
}

/** Runs this `times` times, `atOnce` in parallel. */
export async function flood(count: number, atOnce: number, act: (turn: number) => Promise<unknown>): Promise<void> {
  let next = 0
  const loop = async (): Promise<void> => {
    while (next < count) await act(next++)
  }
  await Promise.all(Array.from({ length: atOnce }, loop))
}
