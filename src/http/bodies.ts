import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** The longest request body, for pages and programs (bytes). It fits into the buffer of a request. */
export const LONGEST_BODY = 32 * 1024
/** Lingering close: how long (ms) and how many bytes a closing connection is still read (RFC 9112 §9.6). */
const LINGER_MS = 500
const LINGER_BYTES = 1024 * 1024

/** A request body is longer than `LONGEST_BODY`. */
export class BodyTooLong extends Error {
  readonly status = 413
}

/** True for a request whose Content-Length alone says that it is too long. */
export function announcesTooMuch({ headers }: IncomingMessage): boolean {
  return Number(headers['content-length'] ?? 0) > LONGEST_BODY
}

/** True for a request with a body, whatever its method (RFC 9112 §6.3). */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/**
 * Waits for the complete body, and leaves it in the stream for its parser. So no decision is made about a request that may
 * arrive for another half minute, and no response leaves an unread body on a kept connection. False when the client has gone,
 * or was too slow. @throws BodyTooLong
 */
export async function receiveBody(req: IncomingMessage): Promise<boolean> {
  if (announcesTooMuch(req)) throw new BodyTooLong()
  if (req.destroyed) return false
  const isThere = await new Promise<boolean>((resolve, reject) => {
    const settle = (act: () => void): void => {
      req.off('readable', look).off('close', leave)
      act()
    }
    const look = (): void => {
      if (req.readableLength > LONGEST_BODY) settle(() => reject(new BodyTooLong()))
      else if (req.complete) settle(() => resolve(true))
    }
    const leave = (): void => settle(() => resolve(false))
    req.on('readable', look).on('close', leave)
  })
  // An empty chunked body counts as none. Its stream has ended, and a parser would read nothing from it.
  if (isThere && req.readableLength === 0) {
    delete req.headers['transfer-encoding']
    delete req.headers['content-type']
  }
  return isThere
}

/**
 * Closes the connection after this response, although the request was not read to its end. It is still read for a moment
 * (lingering close): a reset could lose the response (RFC 9112 §9.6).
 */
export function closeUnread(req: IncomingMessage, res: ServerResponse): void {
  const { socket } = req
  res.setHeader('Connection', 'close')
  // http.Server calls this when the response has been written.
  socket.destroySoon = () => {
    socket.end()
    lingerOn(socket)
    const most = socket.bytesRead + LINGER_BYTES
    req.on('data', () => {
      if (socket.bytesRead > most) req.pause()
    })
  }
}

/** Destroys a socket after a moment of lingering close. */
export function lingerOn(socket: Socket): void {
  const timer = setTimeout(() => socket.destroy(), LINGER_MS)
  socket.once('close', () => clearTimeout(timer))
}
