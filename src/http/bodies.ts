import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** The longest request body, for pages and for programs alike (bytes). It fits into the buffer of a request. */
export const LONGEST_BODY = 32 * 1024
/** For so long (ms), and up to so many bytes, a connection that is being closed is still read (RFC 9112 §9.6). */
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
 * Waits until the whole body is there, and leaves it where it is for the parser that reads it. Nothing is decided about a
 * request that may still be on its way for half a minute, and no answer leaves an unread body on a connection that is kept.
 * False when the client has gone, or was too slow. @throws BodyTooLong
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
  // An empty body in chunks is none. Its stream has ended, and a parser would read nothing from it.
  if (isThere && req.readableLength === 0) {
    delete req.headers['transfer-encoding']
    delete req.headers['content-type']
  }
  return isThere
}

/**
 * Closes the connection after this answer, although its request is not read to the end. It is still read for a moment: a
 * connection closed before that would be reset, and the client might never see the answer (RFC 9112 §9.6).
 */
export function closeUnread(req: IncomingMessage, res: ServerResponse): void {
  const { socket } = req
  res.setHeader('Connection', 'close')
  // http.Server calls this when the answer has been written.
  socket.destroySoon = () => {
    socket.end()
    lingerOn(socket)
    const most = socket.bytesRead + LINGER_BYTES
    req.on('data', () => {
      if (socket.bytesRead > most) req.pause()
    })
  }
}

/** Destroys a socket that has been ended, and is still read, after a moment. */
export function lingerOn(socket: Socket): void {
  const timer = setTimeout(() => socket.destroy(), LINGER_MS)
  socket.once('close', () => clearTimeout(timer))
}
