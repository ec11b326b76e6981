import type { Socket } from 'node:net'

/** The most that a directory may answer to one question (bytes): a hundred entries with the attributes that are asked for. */
const MOST = 1024 * 1024
/**
 * What ldapts is given at a time. It reads the messages of a chunk by recursion, outside of any promise: a large chunk of
 * tiny messages would overflow the stack, and with it end the process.
 */
const CHUNK = 4096

export interface BoundedSocket {
  /** Before a question: from here on the directory may answer as much as before. */
  allowAgain: () => void
}

/** Breaks this connection when the directory sends more than an answer can be. */
export function bound(socket: Socket, most = MOST): BoundedSocket {
  let received = 0
  const push = socket.push.bind(socket)
  socket.push = (chunk: unknown, encoding?: BufferEncoding) => {
    if (!(chunk instanceof Uint8Array)) return push(chunk, encoding)
    received += chunk.length
    if (received > most) {
      socket.destroy(new Error(`the directory answered more than ${most} bytes`))
      return false
    }
    let wantsMore = true
    for (let at = 0; at < chunk.length && !socket.destroyed; at += CHUNK)
      wantsMore = push(chunk.subarray(at, at + CHUNK))
    return wantsMore
  }
  return { allowAgain: () => (received = 0) }
}
